"""Files that a command will write once its work is done: what would fail then is said before."""

from __future__ import annotations

from pathlib import Path

from bark_client.errors import InvalidRequest


def check_writable(path: Path) -> None:
    """InvalidRequest if there is no such folder, or no right to write there."""
    if not path.parent.is_dir():
        raise InvalidRequest(f"can't write {path}: there is no folder {path.parent}")
    if path.exists() and not (path.is_file() or path.is_dir()):
        return  # a device or a pipe, which opening may block or tell
    new = not path.exists()
    try:
        path.open("ab").close()
    except OSError as error:
        raise InvalidRequest(f"can't write {path}: {(error.strerror or str(error)).lower()}") from None
    if new:
        path.resolve().unlink()  # not a link that leads there


def check_voice_file(path: Path) -> None:
    """The same for a voice."""
    if path.suffix != ".npz":
        raise InvalidRequest(f"voice file {path}: the suffix must be .npz")
    check_writable(path)
