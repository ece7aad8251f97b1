"""The files that a command writes: their names, and checks that are made before it starts to work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from bark_client import captions
from bark_client.errors import InvalidRequest


def check_writable(path: Path) -> None:
    """InvalidRequest if there is no such folder, or no right to write there."""
    if not path.parent.is_dir():
        raise InvalidRequest(f"can't write {path}: there is no folder {path.parent}")
    if path.exists() and not (path.is_file() or path.is_dir()):
        return  # a device or a pipe: opening it may block, or be noticed at its other end
    new = not path.exists()
    try:
        path.open("ab").close()
    except OSError as error:
        raise InvalidRequest(f"can't write {path}: {(error.strerror or str(error)).lower()}") from None
    if new:
        path.resolve().unlink()  # the file itself, not a link to it


def check_voice_file(path: Path) -> None:
    """InvalidRequest if no voice can be written there."""
    if path.suffix != ".npz":
        raise InvalidRequest(f"voice file {path}: the suffix must be .npz")
    check_writable(path)


def check_captions(path: Path) -> None:
    """InvalidRequest if no captions can be written there."""
    captions.format_of(path)
    check_writable(path)


@contextlib.contextmanager
def file_of(voice: str, ending: str, *, asked: Path | None) -> Iterator[Path]:
    """The file that a command writes about a voice: the one that was asked for, else a name and an ending.

    A voice of the server gives its whole name: v2/joe has another file than joe. The folder is made. It is removed if
    nothing was written there. A voice file gives its name without folders: the file is written to the current folder.
    """
    if asked:
        yield asked
        return
    name = Path(voice).stem if voice.lower().endswith(".npz") else voice.removeprefix("sha256:")
    path = Path(name + ending)
    new = [folder for folder in path.parents if not folder.exists()]
    with contextlib.suppress(OSError):  # the check of the file, which follows, says that there is no folder
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield path
    finally:
        for folder in new:
            with contextlib.suppress(OSError):  # it is not empty
                folder.rmdir()
