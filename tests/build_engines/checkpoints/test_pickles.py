"""Pickles: hostile ones run nothing, truncated ones are named."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from build_engines.checkpoints.formats import hubert_fairseq
from build_engines.checkpoints.formats.pickles import Inert, find, load_pickle
from build_engines.errors import CheckpointError
from tests.build_engines.checkpoints.refusals import refused


class Hostile:
    """An object that runs a command when pickle loads it. The command makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_pickle_that_runs_a_command_is_refused_and_runs_nothing(suno: Path, tmp_path: Path, zipped: bool) -> None:
    checkpoint = torch.load(suno / "text_2.pt", weights_only=False)
    torch.save(
        {**checkpoint, "best_val_loss": Hostile(tmp_path / "run")},
        suno / "text_2.pt",
        _use_new_zipfile_serialization=zipped,
    )
    refused(suno, r"text_2\.pt names (posix|nt|os)\.system, which no checkpoint .* nothing was run")
    assert not (tmp_path / "run").exists()


def test_a_bare_pickle_that_runs_a_command_is_refused_too(suno: Path, tmp_path: Path) -> None:
    (suno / "encodec_24khz-test.th").write_bytes(pickle.dumps(Hostile(tmp_path / "run")))
    refused(suno, r"encodec_24khz-test\.th ")
    assert not (tmp_path / "run").exists()


def test_names_of_inert_packages_are_never_imported(tmp_path: Path) -> None:
    """Suno's files may name objects of `numpy`, but these are not called."""
    call = b"\x80\x02cnumpy.testing\nassert_equal\nK\x01K\x02\x86R."
    archive = tmp_path / "file.pt"
    torch.save({}, archive)
    rewrite_pickle(archive, call)
    loaded = load_pickle(archive, inert=("numpy",))
    assert isinstance(loaded, Inert)
    assert loaded.arguments == (1, 2)
    with pytest.raises(CheckpointError, match=r"names numpy\.testing\.assert_equal"):
        load_pickle(archive)


@pytest.mark.parametrize(
    "content", [b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x00+\x85R.", b"\x80\x02c__builtin__\ngetattr\n."]
)
def test_a_fairseq_file_may_name_types_but_no_function(tmp_path: Path, content: bytes) -> None:
    archive = tmp_path / "file.pt"
    torch.save({}, archive)
    rewrite_pickle(archive, content)
    with pytest.raises(CheckpointError, match=r"names (eval|getattr), which no checkpoint .* nothing was run"):
        load_pickle(archive, inert=hubert_fairseq.INERT)


def test_types_that_a_fairseq_file_names_are_not_called(tmp_path: Path) -> None:
    archive = tmp_path / "file.pt"
    torch.save({}, archive)
    rewrite_pickle(archive, b"\x80\x02c__builtin__\ntype\nN\x85R.")
    loaded = load_pickle(archive, inert=hubert_fairseq.INERT)
    assert isinstance(loaded, Inert)
    assert loaded.arguments == (None,)


def rewrite_pickle(path: Path, content: bytes) -> None:
    """Replace the pickle in a file of torch.save."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in records.items():
            archive.writestr(name, content if name.endswith("data.pkl") else data)


@pytest.mark.parametrize("keep", [0.001, 0.5, 0.999], ids=["start", "half", "most"])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_truncated_pickle_names_the_file(suno: Path, keep: float, zipped: bool) -> None:
    path = suno / "coarse_2.pt"
    checkpoint = torch.load(path, weights_only=False)
    torch.save({**checkpoint, "best_val_loss": 1.0}, path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    refused(suno, r"coarse_2\.pt is truncated or is not a file of torch\.save")


def test_a_setting_is_found_in_nested_inert_objects_and_loops() -> None:
    inner = Inert("unused")
    inner.__setstate__({"depth": {"rate": 16_000}})
    tree: dict[str, Any] = {"args": None, "list": [inner]}
    tree["self"] = tree
    assert find(tree, "rate") == 16_000
    assert find(tree, "width") is None
