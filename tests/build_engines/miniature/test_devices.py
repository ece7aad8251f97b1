"""The training computes on torch's default device. This is checked without a GPU.

Tensors that would stay on the CPU are followed. Mixing one with other tensors would fail on a GPU.
"""

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

#: Functions that allow one operand on the CPU and others on a GPU: indexing and copying.
MAY_MIX = ("__getitem__", "copy_", "__get__", "__set__")


class _HostWatch(TorchFunctionMode):
    """Follows tensors that stay on the host whatever the default device is, and lists functions that mix them."""

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
        outputs, inputs = (
            [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)] for tree in (out, (args, kwargs))
        )
        name = resolve_name(func) or str(func)
        # the literal "cpu": a device that comes from a tensor or from torch's default is never a string
        if name == "torch.Tensor.cpu" or kwargs.get("device") == "cpu":
            self.add(outputs)
        elif name != "torch.as_tensor":
            arrays = [tensor for tensor in inputs if tensor.dim()]
            on_host = [tensor for tensor in arrays if self._is_host(tensor)]
            if on_host and len(on_host) < len(arrays) and not name.endswith(MAY_MIX):
                self.mixed.append(name)
            if on_host and len(on_host) == len(arrays):
                self.add(outputs)
        return out


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> _HostWatch:
    host_watch, from_numpy = _HostWatch(), torch.from_numpy

    def watched(array: Any) -> Tensor:
        tensor = from_numpy(array)
        host_watch.add([tensor])
        return tensor

    monkeypatch.setattr(torch, "from_numpy", watched)
    return host_watch


@pytest.mark.usefixtures("few_sentences")
def test_a_training_mixes_no_host_tensors_with_others(tmp_path: Path, watch: _HostWatch) -> None:
    with watch:
        run(tmp_path / "work", tmp_path / "out", recipe=small_recipe())
    assert watch.mixed == []


def test_the_watch_notices_a_tensor_left_on_the_host(watch: _HostWatch) -> None:
    with watch:
        torch.nn.functional.embedding(torch.from_numpy(np.arange(3)), torch.ones(3, 2))
    assert set(watch.mixed) == {"torch.nn.functional.embedding"}


@pytest.mark.parametrize(("has_gpu", "expected"), [(True, "cuda"), (False, "cpu")])
def test_device_auto_is_a_gpu_if_torch_sees_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: str, *, has_gpu: bool
) -> None:
    used: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    monkeypatch.setattr(
        "build_engines.miniature.make.make_miniature", lambda *_, device, **options: used.append(device)
    )
    result = CliRunner().invoke(app, ["miniature", str(tmp_path / "out"), "--work", str(tmp_path / "work")])
    assert result.exit_code == 0, result.output
    assert used == [expected]


def test_device_cuda_is_refused_without_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    result = CliRunner().invoke(app, ["miniature", str(tmp_path / "out"), "--device", "cuda"])
    assert result.exit_code == 2
    assert "torch sees no GPU" in " ".join(result.output.replace("│", " ").split())
