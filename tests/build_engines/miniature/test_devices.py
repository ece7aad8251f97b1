"""The training runs on whatever device torch is told to use, checked without one: nothing is left where numpy was."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._pytree import tree_leaves
from typer.testing import CliRunner

from build_engines.cli import app
from tests.build_engines.miniature.conftest import run, small_recipe

#: What may have an operand on the CPU beside others on a GPU: an index, a copy.
MAY_MIX = ("__getitem__", "copy_", "__get__", "__set__")


class _HostWatch(TorchFunctionMode):
    """Follows tensors that stay on the host, wherever torch's default device is; notes what mixes them with others."""

    def __init__(self) -> None:
        super().__init__()
        self.mixed: list[str] = []
        self._host: dict[int, weakref.ref[Tensor]] = {}

    def add(self, tensors: Sequence[Tensor]) -> None:
        self._host |= {id(tensor): weakref.ref(tensor) for tensor in tensors}

    def _is_host(self, tensor: Tensor) -> bool:
        found = self._host.get(id(tensor))
        return found is not None and found() is tensor

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        made, taken = ([one for one in tree_leaves(tree) if isinstance(one, Tensor)] for tree in (out, (args, kwargs)))
        name = resolve_name(func) or str(func)
        # "cpu" in so many words; a device taken from a tensor or from torch's default is never a string
        if name == "torch.Tensor.cpu" or kwargs.get("device") == "cpu":
            self.add(made)
        elif name != "torch.as_tensor":
            arrays = [one for one in taken if one.dim()]
            host = [one for one in arrays if self._is_host(one)]
            if host and len(host) < len(arrays) and not name.endswith(MAY_MIX):
                self.mixed.append(name)
            if host and len(host) == len(arrays):
                self.add(made)
        return out


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> _HostWatch:
    made, from_numpy = _HostWatch(), torch.from_numpy

    def watched(array: Any) -> Tensor:
        tensor = from_numpy(array)
        made.add([tensor])
        return tensor

    monkeypatch.setattr(torch, "from_numpy", watched)
    return made


@pytest.mark.usefixtures("few_sentences")
def test_what_a_training_computes_with_is_all_made_on_the_default_device(tmp_path: Path, watch: _HostWatch) -> None:
    with watch:
        run(tmp_path / "work", tmp_path / "out", recipe=small_recipe())
    assert watch.mixed == []


def test_a_tensor_left_on_the_host_is_noticed(watch: _HostWatch) -> None:
    with watch:
        torch.nn.functional.embedding(torch.from_numpy(np.arange(3)), torch.ones(3, 2))
    assert set(watch.mixed) == {"torch.nn.functional.embedding"}


@pytest.mark.parametrize(("there", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_is_a_gpu_where_torch_sees_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: str, *, there: bool
) -> None:
    used: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(
        "build_engines.miniature.make.make_miniature", lambda *_, device, **options: used.append(device)
    )
    result = CliRunner().invoke(app, ["miniature", str(tmp_path / "out"), "--work", str(tmp_path / "work")])
    assert result.exit_code == 0, result.output
    assert used == [expected]


def test_a_gpu_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    result = CliRunner().invoke(app, ["miniature", str(tmp_path / "out"), "--device", "cuda"])
    assert result.exit_code == 2
    assert "torch sees no GPU" in " ".join(result.output.replace("│", " ").split())
