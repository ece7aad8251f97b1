"""`bark-build import --if-changed`: a bundle is made again if what it was imported from has changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bark_serving.bundle import Bundle
from build_engines.checkpoints import changes
from build_engines.checkpoints.changes import RECORD, change
from build_engines.checkpoints.importer import Request, import_bundle
from build_engines.cli import app
from tests.build_engines.checkpoints import formats


@pytest.fixture(scope="module")
def imported(suno_folder: Path, vocabulary: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds a checkpoint, `my checkpoint`, and the bundle imported from it. Treat it as read-only."""
    root = tmp_path_factory.mktemp("imported")
    source = root / "my checkpoint"
    shutil.copytree(suno_folder, source)
    shutil.copy(vocabulary, source / "vocab.txt")
    (source / "voices").mkdir()
    np.savez(source / "voices" / "joe.npz", **formats.voice())
    import_bundle(Request(str(source)), root / "bundle")
    return root


@pytest.fixture
def copy(imported: Path, tmp_path: Path) -> Path:
    """The same, to be changed. Its files are the same with other times, as after a copy."""
    shutil.copytree(imported, tmp_path / "copy")
    record = tmp_path / "copy" / "bundle" / RECORD
    request = Request(str(tmp_path / "copy" / "my checkpoint"))
    read = changes._Record.model_validate_json(record.read_text())
    record.write_text(read.model_copy(update={"options": changes._options(request)}).model_dump_json())
    return tmp_path / "copy"


def what_changed(root: Path, **options: object) -> str | None:
    request = replace(Request(str(root / "my checkpoint")), **options)  # type: ignore[arg-type]
    return change(request, Bundle(root / "bundle"))


def no_hashes(path: Path) -> str:
    raise AssertionError(f"{path} is hashed")


def test_of_files_that_did_not_change_only_the_times_are_looked_at(
    imported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "sha256", no_hashes)
    assert what_changed(imported) is None


def test_files_of_other_times_and_the_same_content_are_hashed_once(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert what_changed(copy) is None
    monkeypatch.setattr(changes, "sha256", no_hashes)
    assert what_changed(copy) is None


def flip(path: Path) -> None:
    """Change one byte and keep the size and the time of modification."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (lambda source: flip(source / "text_2.pt"), "text_2.pt has changed."),
        (lambda source: flip(source / "vocab.txt"), "vocab.txt has changed."),
        (lambda source: flip(source / "voices" / "joe.npz"), "joe.npz has changed."),
        (lambda source: (source / "fine_2.pt").unlink(), "fine_2.pt is gone."),
        (lambda source: (source / "tokenizer.json").touch(), "tokenizer.json is new."),
        (lambda source: shutil.copy(source / "voices" / "joe.npz", source / "voices" / "ann.npz"), "ann.npz is new."),
        (lambda source: (source / "README.md").touch(), None),
    ],
    ids=["weights", "tokenizer", "voice", "gone", "new tokenizer", "new voice", "not read"],
)
def test_what_changed_is_named(copy: Path, action: Callable[[Path], object], reason: str | None) -> None:
    action(copy / "my checkpoint")
    found = what_changed(copy)
    assert found is None if reason is None else found is not None and found.endswith(reason)


def test_other_options_count_as_a_change(imported: Path) -> None:
    assert what_changed(imported, name="other") == "the options are others than at its import."


def test_a_bundle_without_a_record_is_compared_by_the_hashes_of_its_spec(copy: Path) -> None:
    (copy / "bundle" / RECORD).unlink()
    assert what_changed(copy) is None
    flip(copy / "my checkpoint" / "coarse_2.pt")
    assert (what_changed(copy) or "").endswith("coarse_2.pt has changed.")


def test_the_record_names_no_path_of_this_machine_and_is_no_part_of_the_bundle(imported: Path) -> None:
    assert str(imported) not in (imported / "bundle" / RECORD).read_text()
    assert RECORD not in Bundle(imported / "bundle").spec.files


def test_the_command_imports_again_only_what_has_changed(copy: Path) -> None:
    source, out = copy / "my checkpoint", copy / "bundle"
    command = ["import", "--if-changed", str(source), str(out)]
    before = Bundle(out).hash
    same = CliRunner().invoke(app, command)
    assert (same.exit_code, Bundle(out).hash) == (0, before)
    assert f"{out} is up to date with {source}." in same.stderr
    formats.save_suno(source / "fine_2.pt", seed=77, fine=True, **formats.FINE)
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0, again.stderr
    assert f"{out} is imported again: {source}/fine_2.pt has changed." in again.stderr
    assert Bundle(out).hash != before
    shutil.rmtree(source)
    gone = CliRunner().invoke(app, command)
    assert gone.exit_code == 0
    assert f"{out} is used as it was imported: there is no file or folder {source}" in gone.stderr
