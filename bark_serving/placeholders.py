"""What stands where a file of a checkpoint, a bundle or a voice is expected, if it is not that file.

Downloads fail in few ways: nothing was written, a website answered with a page, or Git fetched a pointer instead of the
file that it points to.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

_BEGINNING_BYTES = 1024
_HTML = re.compile(
    rb"^(\xef\xbb\xbf)?\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_XML = re.compile(rb"^(\xef\xbb\xbf)?\s*<\?xml\b")
_LFS = b"version https://git-lfs.github.com/spec/"
_ANNEX = re.compile(rb"^(/annex/objects/|(\.\./|\./)*\.git/annex/objects/)")
_MAX_MESSAGE_BYTES = 200  #: a longer text is not what a server says in place of a file


class Placeholder(NamedTuple):
    """What a file is, as the end of a sentence that begins with its path, and what to do."""

    problem: str
    remedy: str


def placeholder(path: Path, *, text: bool = False) -> Placeholder | None:
    """What a file is if it is not the one that belongs there; None if nothing speaks against it, or nobody can read it.

    text: a text belongs there, so a line of text is no placeholder.
    """
    try:
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING_BYTES)
    except OSError:
        return None  # the reader of the file says why
    return placeholder_of(beginning, text=text)


def placeholder_of(beginning: bytes, *, text: bool = False) -> Placeholder | None:
    """`placeholder` of a file that begins with these bytes, at least 1024 if it has so many."""
    if not beginning:
        return Placeholder("is empty.", "Fetch it again.")
    if _HTML.match(beginning):
        return Placeholder(
            "is an HTML page, as a website answers a wrong address or a missing login.",
            "Fetch the file itself: on the Hugging Face hub its address has /resolve/, not /blob/.",
        )
    if beginning.startswith(_LFS):
        size = re.search(rb"^size (\d+)$", beginning, re.MULTILINE)
        whole = f" The file itself has {int(size[1]):,} bytes." if size else ""
        return Placeholder(
            f"is a pointer of Git LFS, not the file that it points to.{whole}",
            "Run `git lfs install && git lfs pull` in its repository, or fetch the file itself.",
        )
    if _ANNEX.match(beginning):
        return Placeholder(
            "is a pointer of git-annex, not the file that it points to.", "Run `git annex get` in its repository."
        )
    if _XML.match(beginning):
        return Placeholder("is an XML document, as an object store answers a wrong address.", "Fetch the file itself.")
    if not text and len(beginning) <= _MAX_MESSAGE_BYTES and (said := _message(beginning)):
        return Placeholder(f"is a line of text: {said!r}.", "Fetch the file itself.")
    return None


def _message(content: bytes) -> str | None:
    """The text of a file that is one short line, as ``Entry not found``; None for anything else."""
    try:
        said = content.decode("ascii").strip()
    except UnicodeDecodeError:
        return None
    return said if said.isprintable() and re.search(r"[A-Za-z]{2}", said) else None
