"""The names of voices: the rule for them, the language in them, and which known names a wrong one may mean."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

from bark_serving.errors import InvalidRequest

HASH_PREFIX = "sha256:"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}(/[A-Za-z0-9_][A-Za-z0-9_-]{0,63})?")
_HASH = re.compile(r"sha256:[0-9a-f]{12,64}")
#: Names of devices, which Windows takes for no file or folder, in any case and with any suffix. Source: "Naming Files,
#: Paths, and Namespaces", learn.microsoft.com.
_WINDOWS_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
_MIN_LIKENESS = 0.75  #: of `difflib.SequenceMatcher.ratio`, above which another name is suggested
_MAX_SUGGESTIONS = 3


def is_hash(name: str) -> bool:
    """Whether this is a content hash, or the beginning of one, instead of a name."""
    return _HASH.fullmatch(name) is not None


def is_name(name: str) -> bool:
    """Whether a voice can have this name: one part, or two parts joined by ``/``; see `check_name`."""
    return _NAME.fullmatch(name) is not None and not _WINDOWS_DEVICES & set(name.lower().split("/"))


def check_name(name: str) -> str:
    """Returns the name. Raises `InvalidRequest` for one that no voice can have."""
    if not is_name(name):
        raise InvalidRequest(f"{why_no_name(name)}.")
    return name


def why_no_name(name: str) -> str:
    """Why this is no name, and what names look like, without a full stop."""
    shown = repr(name[:80])
    if name.lower().startswith(HASH_PREFIX):
        return f"{shown} is no voice name and no hash; a hash is sha256: and 12 to 64 digits, each 0-9 or a-f"
    if _NAME.fullmatch(name):
        return f"{shown} is no voice name: Windows reserves CON, PRN, AUX, NUL, COM0-9 and LPT0-9; choose another name"
    return (
        f"{shown} is no voice name; names look like v2/en_speaker_6: letters, digits, _ and -, no - at the beginning, "
        "at most one slash, at most 64 characters on either side of it"
    )


def language_of(name: str) -> str | None:
    """The language in a name like ``v2/de_speaker_3``, as an ISO 639-1 code."""
    named = re.search(r"(?:^|/)([a-z]{2})_speaker_\d+$", name)
    return named[1] if named else None


def similar_names(name: str, known: Iterable[str]) -> list[str]:
    """The known names that `name` may mean, at most `_MAX_SUGGESTIONS`, the likeliest first.

    Names that differ only in case, in separators or in a suffix come first, then those that have the same last part,
    then those that are spelled alike.
    """
    plain = {other: _plain(other) for other in known}
    meant = _plain(name)
    equal = [other for other, text in plain.items() if text == meant]
    same_end = [other for other, text in plain.items() if _last(text) == _last(meant)]
    if equal or same_end:
        return (equal or same_end)[:_MAX_SUGGESTIONS]
    likeness = {
        other: max(_likeness(meant, text), _likeness(_last(meant), _last(text))) for other, text in plain.items()
    }
    alike = sorted((other for other in plain if likeness[other] >= _MIN_LIKENESS), key=lambda other: -likeness[other])
    return alike[:_MAX_SUGGESTIONS]


def _plain(name: str) -> str:
    """A name without what is easily mistaken: case, quotes, kind of slash, separators, and the suffix of its file."""
    text = unicodedata.normalize("NFKC", name[:200]).casefold().strip().strip("\"'`").replace("\\", "/")
    text = re.sub(r"\.np[yz]$", "", text.removeprefix("./"))
    return re.sub(r"[\s._-]+", "_", text)


def _last(text: str) -> str:
    return text.rpartition("/")[2]


def _likeness(one: str, other: str) -> float:
    matcher = difflib.SequenceMatcher(None, one, other)
    if matcher.real_quick_ratio() < _MIN_LIKENESS or matcher.quick_ratio() < _MIN_LIKENESS:  # upper bounds
        return 0.0
    return matcher.ratio()
