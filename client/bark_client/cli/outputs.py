"""Checks that a command can write its files, made before it starts to work."""

from __future__ import annotations

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
