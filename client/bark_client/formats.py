"""The format that a file's name asks for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from bark_client.errors import InvalidRequest


def by_suffix(path: str | os.PathLike[str], formats: Iterable[str], *, what: str = "") -> str:
    """The one of `formats` that the suffix of a file name asks for. InvalidRequest lists them.

    what: what is to be written, for the message; nothing for audio.
    """
    known = tuple(formats)
    suffix = Path(path).suffix.lower().removeprefix(".")
    if suffix not in known:
        listed = ", ".join(f".{name}" for name in known)
        thing = f"{what} to " if what else ""
        raise InvalidRequest(f"can't write {thing}{os.fspath(path)!r}: the suffix must be one of {listed}")
    return suffix
