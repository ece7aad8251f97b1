"""Locks, hashes, and folders that appear whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from bark_serving.files import BUILDING_PREFIX, FULL_DISK, atomic_folder, exclusive, is_held, leftovers, sha256


def test_the_hash_is_that_of_the_whole_file(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5_000
    (tmp_path / "data").write_bytes(data)
    assert sha256(tmp_path / "data") == hashlib.sha256(data).hexdigest()


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / "locks/one"
    assert not is_held(lock) and not lock.exists()
    with exclusive(lock):
        assert is_held(lock)
        with pytest.raises(BlockingIOError), exclusive(lock, wait=False):
            pass
    assert not is_held(lock)


def test_a_killed_process_holds_no_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    code = (
        "import pathlib, sys, bark_serving.files as files\n"
        f"with files.exclusive(pathlib.Path({str(lock)!r})):\n    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"held\n"
        assert is_held(lock)
        process.kill()
        process.wait()
        assert not is_held(lock)


def test_a_folder_appears_when_its_block_ends(tmp_path: Path) -> None:
    final = tmp_path / "parent/final"
    with atomic_folder(final) as work:
        (work / "file").write_text("whole")
        assert not final.exists()
        assert work.parent == final.parent and work.name.startswith(f"{BUILDING_PREFIX}final-")
    assert (final / "file").read_text() == "whole"
    assert [path.name for path in final.parent.iterdir()] == ["final"]


def test_nothing_stays_of_a_folder_whose_block_raises(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "final") as work:
        (work / "file").write_text("half")
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_an_old_folder_is_replaced_only_if_that_is_asked_for(tmp_path: Path) -> None:
    final = tmp_path / "final"
    final.mkdir()
    (final / "old").touch()
    with pytest.raises(OSError, match="not empty"), atomic_folder(final) as work:
        (work / "new").touch()
    assert [path.name for path in final.iterdir()] == ["old"]
    with atomic_folder(final, replace=True) as work:
        (work / "new").touch()
    assert [path.name for path in final.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["final"]


def test_the_old_folder_comes_back_if_the_new_one_cannot_be_placed(tmp_path: Path) -> None:
    final = tmp_path / "final"
    final.mkdir()
    (final / "old").touch()
    with pytest.raises(FileNotFoundError), atomic_folder(final, replace=True) as work:
        work.rename(tmp_path / "elsewhere")
    assert [path.name for path in final.iterdir()] == ["old"]


def test_what_a_killed_maker_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys\nfrom bark_serving import files\n"
        f"with files.atomic_folder(pathlib.Path({str(tmp_path / 'final')!r})) as work:\n"
        "    (work / 'half').touch(); print('begun', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"begun\n"
        assert leftovers(tmp_path) == []  # its maker lives
        process.kill()
        process.wait()
    [left] = leftovers(tmp_path)
    assert (left / "half").exists() and leftovers(tmp_path, of="final") == [left]
    with atomic_folder(tmp_path / "fin"):
        assert left.exists()  # it is of another name
    with atomic_folder(tmp_path / "final"):
        assert not left.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fin", "final"]


@pytest.mark.parametrize("is_replaced", [True, False])
def test_an_old_folder_that_a_killed_maker_left_goes_only_when_there_is_a_new_one(
    tmp_path: Path, is_replaced: bool
) -> None:
    final, old = tmp_path / "final", tmp_path / f"{BUILDING_PREFIX}final-0a1b2c3d-old"
    old.mkdir()
    if is_replaced:
        final.mkdir()
    assert leftovers(tmp_path, of="final") == [old]
    with atomic_folder(final, replace=True):
        assert old.exists() != is_replaced


def test_what_another_user_works_on_is_no_leftover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError

    work = tmp_path / f"{BUILDING_PREFIX}final-0a1b2c3d"
    work.mkdir()
    assert leftovers(tmp_path) == [work]
    monkeypatch.setattr(Path, "open", refused)
    assert leftovers(tmp_path) == []


def test_of_two_makers_of_one_folder_the_first_to_finish_wins(tmp_path: Path) -> None:
    final = tmp_path / "final"
    with pytest.raises(OSError, match="not empty"), atomic_folder(final) as slow:
        with atomic_folder(final) as fast:
            (fast / "fast").touch()
        (slow / "slow").touch()
    assert [path.name for path in final.iterdir()] == ["fast"]
    assert [path.name for path in tmp_path.iterdir()] == ["final"]


def test_other_users_may_read_what_the_umask_allows(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.touch(mode=0o600)
    with atomic_folder(tmp_path / "final") as work:
        (work / "private").touch(mode=0o600)
        (work / "program").touch(mode=0o700)
        (work / "folder").mkdir(mode=0o700)
        (work / "link").symlink_to(outside)
    umask = int(subprocess.check_output(["sh", "-c", "umask"]), 8)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "final").iterdir()}
    assert modes == {
        "private": 0o666 & ~umask,
        "program": 0o777 & ~umask,
        "folder": 0o777 & ~umask,
        "link": 0o600,  # the link's target is not part of the folder
    }


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("I/O error: Disk quota exceeded")]
)
def test_a_full_disk_is_named_with_the_folder_that_was_being_made(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(OSError) as caught, atomic_folder(tmp_path / "final"):
        raise error
    assert caught.value.errno in FULL_DISK and caught.value.filename == str(tmp_path / "final")
    assert not list(tmp_path.iterdir())
