"""Files that several processes share: hashes, locks, and folders that appear whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: A folder ``.building-NAME-*`` will become NAME. If nobody works on it, its maker was killed.
BUILDING_PREFIX = ".building-"


def sha256(path: Path) -> str:
    """SHA-256 of a file as 64 hex digits. The file is read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def exclusive(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock file `path`, which is made with its folder. The kernel releases it when the process ends.

    Raises `BlockingIOError` if another process holds it and `wait` is false.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def is_held(path: Path) -> bool:
    """Whether a process holds the lock file `path`. False if there is no such file."""
    try:
        with path.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def atomic_folder(final: Path, *, replace: bool = False) -> Iterator[Path]:
    """A temporary folder beside `final`, which becomes `final` when the block ends. If the block raises, it is removed.

    The parent folder is made. Everything in the folder gets the permissions of the umask, because temporary folders
    and some libraries' files are private, and a server may run as another user.
    replace: `final` may exist. Then the old folder is removed once the new one is in its place.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f"{BUILDING_PREFIX}{final.name}-", dir=final.parent))
    try:
        yield work
        _apply_umask(work)
        if replace and final.exists():
            _exchange(final, work)
        else:
            work.rename(final)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _exchange(final: Path, new: Path) -> None:
    """Put `new` in the place of `final` and remove the old folder; it comes back if `new` cannot be put there."""
    old = new.with_name(f"{new.name}-old")
    final.rename(old)
    try:
        new.rename(final)
    except OSError:
        old.rename(final)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _apply_umask(folder: Path) -> None:
    mask = os.umask(0o022)  # the umask can only be read by setting it
    os.umask(mask)
    folder.chmod(0o777 & ~mask)
    for path in folder.rglob("*"):
        if path.is_symlink():  # chmod would change its target
            continue
        executable = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod((0o777 if executable else 0o666) & ~mask)
