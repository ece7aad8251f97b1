"""Files that a server reads: those of a wrong size are refused at once, those with other bytes while it starts."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from bark_serving.engines.file_check import MAX_AGE_S, FileCheck, check_sizes
from bark_serving.engines.quick_sums import QUICK_SUMS_FILE, pieces, quick_sum, read_quick_sums, write_quick_sums
from bark_serving.engines.served_files import ServedFile
from bark_serving.engines.store import EngineBroken

REMEDY = "Run `rm -r there && build it`."


def served(path: Path, content: bytes = b"weights" * 1000, *, quick: bool = True) -> ServedFile:
    path.write_bytes(content)
    return described(path, quick=quick)


def described(path: Path, *, size: int | None = None, quick: bool = True) -> ServedFile:
    """quick: with its quick sum, which older versions did not write down."""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    fast = quick_sum(pieces(path)) if quick else None
    return ServedFile(path=path, sha256=sha256, quick_sum=fast, size=size, remedy=REMEDY)


def flip(path: Path, place: int, bit: int = 0) -> None:
    """Change one bit of a file."""
    with path.open("r+b") as file:
        file.seek(place)
        value = file.read(1)[0]
        file.seek(place)
        file.write(bytes([value ^ 1 << bit]))


def look(files: list[ServedFile], record: Path, *, now: float = 1000.0) -> list[str]:
    """Check files as a start does. Returns the names of those that were read."""
    check = FileCheck(files, record=record, now=lambda: now)
    check.start()
    check.finish()
    return [file.path.name for file in check.to_read]


@settings(deadline=None)
@given(place=st.integers(0, 6999), bit=st.integers(0, 7), quick=st.booleans())
def test_a_flipped_bit_is_refused_with_the_files_name(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int, quick: bool
) -> None:
    folder = tmp_path_factory.mktemp("files")
    files = [served(folder / "good", quick=quick), served(folder / "bad", quick=quick)]
    flip(folder / "bad", place, bit)
    with pytest.raises(EngineBroken, match=re.escape(f"{folder / 'bad'} is damaged")) as raised:
        look(files, folder / "record")
    assert raised.value.remedy == REMEDY


def test_a_wrong_quick_sum_alone_condemns_no_file(tmp_path: Path) -> None:
    file = served(tmp_path / "one").model_copy(update={"quick_sum": "0" * 32})
    assert look([file], tmp_path / "record") == ["one"]
    assert look([file], tmp_path / "record") == []


@pytest.mark.parametrize("quick", [True, False])
def test_a_right_quick_sum_saves_the_long_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: bool) -> None:
    file = served(tmp_path / "one", quick=quick)
    computed, sha256 = [], hashlib.sha256
    monkeypatch.setattr(hashlib, "sha256", lambda: computed.append("SHA-256") or sha256())
    look([file], tmp_path / "record")
    assert computed == ([] if quick else ["SHA-256"])


def test_the_quick_sums_of_a_folder_are_those_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "voices").mkdir()
    files = {name: described(served(tmp_path / name, name.encode() * 300_000).path) for name in ("one", "voices/two")}
    write_quick_sums(tmp_path, {name: file.sha256 for name, file in files.items()})
    assert read_quick_sums(tmp_path) == {file.sha256: file.quick_sum for file in files.values()}


@pytest.mark.parametrize("content", [None, "", "[1]", '{"a": 2}'])
def test_quick_sums_that_cannot_be_read_are_none(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / QUICK_SUMS_FILE).write_text(content)
    assert read_quick_sums(tmp_path) == {}


def test_a_whole_file_is_read_once(tmp_path: Path) -> None:
    files = [served(tmp_path / "one"), served(tmp_path / "two")]
    assert look(files, tmp_path / "record") == ["one", "two"]
    assert look(files, tmp_path / "record") == []


def test_a_file_that_was_written_is_read_again(tmp_path: Path) -> None:
    files = [served(tmp_path / "one"), served(tmp_path / "two")]
    look(files, tmp_path / "record")
    before = files[1].path.stat()
    flip(files[1].path, 5)
    os.utime(files[1].path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a careful copy would
    with pytest.raises(EngineBroken, match="two is damaged"):
        look(files, tmp_path / "record")


def test_a_file_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    file = served(tmp_path / "one")
    look([file], tmp_path / "record")
    served(tmp_path / "new", b"others!" * 1000).path.replace(file.path)
    with pytest.raises(EngineBroken, match="one is damaged"):
        look([file], tmp_path / "record")


def test_after_a_week_every_file_is_read_again(tmp_path: Path) -> None:
    file = served(tmp_path / "one")
    look([file], tmp_path / "record", now=1000.0)
    assert look([file], tmp_path / "record", now=1000.0 + MAX_AGE_S - 1) == []
    assert look([file], tmp_path / "record", now=1000.0 + MAX_AGE_S + 1) == ["one"]


def test_another_sum_of_the_same_file_is_read(tmp_path: Path) -> None:
    file = served(tmp_path / "one")
    look([file], tmp_path / "record")
    with pytest.raises(EngineBroken, match="one is damaged"):
        look([file.model_copy(update={"sha256": "0" * 64, "quick_sum": None})], tmp_path / "record")


@pytest.mark.parametrize("content", ["", "{", '{"/x": 1}'])
def test_a_record_that_cannot_be_read_is_no_record(tmp_path: Path, content: str) -> None:
    file = served(tmp_path / "one")
    (tmp_path / "record").write_text(content)
    assert look([file], tmp_path / "record") == ["one"]


def test_without_room_for_a_record_files_are_read_each_time(tmp_path: Path) -> None:
    file = served(tmp_path / "one")
    nowhere = tmp_path / "no/such/folder/record"
    assert [look([file], nowhere), look([file], nowhere)] == [["one"], ["one"]]


def test_sizes_found_and_needed_are_said(tmp_path: Path) -> None:
    whole = described(served(tmp_path / "model.onnx").path, size=7000)
    check_sizes([whole])
    os.truncate(whole.path, 6999)
    with pytest.raises(EngineBroken, match=r"model\.onnx has 6,999 bytes and needs 7,000: it is cut off\."):
        check_sizes([whole])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    file = served(tmp_path / "model.onnx")
    file.path.unlink()
    with pytest.raises(EngineBroken, match=r"model\.onnx cannot be read \(No such file or directory\)"):
        check_sizes([file])


@pytest.mark.parametrize("left", [0, 7, 20, 399])
def test_a_safetensors_file_says_its_size_itself(tmp_path: Path, left: int) -> None:
    path = tmp_path / "kernels.safetensors"
    save_file({"a": np.ones((8, 8), np.float32), "b": np.ones(99, np.int8)}, path)
    size = path.stat().st_size
    assert size >= 400
    file = described(path)
    check_sizes([file])
    os.truncate(path, left)
    with pytest.raises(EngineBroken, match=rf"has {left} bytes and needs \d+: it is cut off"):
        check_sizes([file])
