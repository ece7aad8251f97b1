"""Files that several processes share: hashes, locks, and folders that appear whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: A folder ``.building-NAME-*`` will become NAME. Its maker holds the lock file beside it.
BUILDING_PREFIX = ".building-"
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)  #: what the system says of a disk, or a user's part of it, without room
_LOCK_SUFFIX = ".lock"
_OLD_SUFFIX = "-old"  #: of the folder that is replaced, until the new one is in its place


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


def existing_place(path: Path) -> Path:
    """The path itself if it exists, else the nearest one above it that does. It is absolute.

    A link whose target is missing exists: no folder can be made in its place.
    """
    places = (path.absolute(), *path.absolute().parents)
    return next(place for place in places if place.exists() or place.is_symlink())


def why_not_writable(folder: Path) -> str:
    """Why nothing can be kept in this folder, as the end of a sentence; empty if something can. Writes nothing."""
    place = existing_place(folder)
    if not place.is_dir():
        return f"{place} is not a folder"
    return "" if os.access(place, os.W_OK | os.X_OK) else f"user {os.getuid()} may not write to {place}"


def is_held(path: Path) -> bool:
    """Whether a process holds the lock file `path`, or it is another user's. False if there is no such file."""
    try:
        with path.open("r+") as file:  # NFS gives an exclusive lock only to writers
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except (BlockingIOError, PermissionError):
        return True
    return False


@contextmanager
def atomic_folder(final: Path, *, replace: bool = False) -> Iterator[Path]:
    """A temporary folder beside `final`, which becomes `final` when the block ends. If the block raises, it is removed.

    The parent folder is made. Everything in the folder gets the permissions of the umask, because temporary folders
    and some libraries' files are private, and a server may run as another user.
    What killed makers of `final` left is removed first. The `OSError` of a full disk names `final`, also where the
    library that wrote a file raised another error.
    replace: `final` may exist. Then the old folder is removed once the new one is in its place.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    for leftover in leftovers(final.parent, of=final.name):
        if final.exists() or not leftover.name.endswith(_OLD_SUFFIX):  # else it is the only whole one
            remove(leftover, ignore_errors=True)
    handle, name = tempfile.mkstemp(prefix=f"{BUILDING_PREFIX}{final.name}-", suffix=_LOCK_SUFFIX, dir=final.parent)
    os.close(handle)
    work = Path(name).with_suffix("")
    try:
        with exclusive(Path(name)):  # before the folder exists: a folder without a holder is a leftover
            work.mkdir()
            with _naming_a_full_disk(final):
                yield work
            _apply_umask(work)
            if replace and final.exists():
                _exchange(final, work)
            else:
                work.rename(final)
    finally:
        remove(work, ignore_errors=True)


@contextmanager
def _naming_a_full_disk(folder: Path) -> Iterator[None]:
    """Raise an `OSError` with the folder's name for an error of a full disk: that of a write has no name."""
    try:
        yield
    except Exception as error:
        for number in FULL_DISK:
            if getattr(error, "errno", None) == number or os.strerror(number) in str(error):
                raise OSError(number, os.strerror(number), str(folder)) from error
        raise


def leftovers(folder: Path, *, of: str | None = None) -> list[Path]:
    """What killed makers left in a folder: temporary folders of `atomic_folder`, of every name or of one."""
    return [
        path
        for path in sorted(folder.glob(f"{BUILDING_PREFIX}*"))
        if path.is_dir() and not is_held(_lock_of(path)) and of in (None, _name_of(path))
    ]


def remove(folder: Path, *, ignore_errors: bool = False) -> None:
    """Remove a folder; of a temporary one of `atomic_folder`, its lock file too."""
    shutil.rmtree(folder, ignore_errors=ignore_errors)
    _lock_of(folder).unlink(missing_ok=True)


def _lock_of(work: Path) -> Path:
    return work.with_name(work.name.removesuffix(_OLD_SUFFIX) + _LOCK_SUFFIX)


def _name_of(work: Path) -> str:
    """The name of the folder that a temporary one should become."""
    return work.name.removeprefix(BUILDING_PREFIX).removesuffix(_OLD_SUFFIX).rsplit("-", 1)[0]


def _exchange(final: Path, new: Path) -> None:
    """Put `new` in the place of `final` and remove the old folder; it comes back if `new` cannot be put there."""
    old = new.with_name(new.name + _OLD_SUFFIX)
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
