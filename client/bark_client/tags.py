"""Tags in a text, which the server reads: `[pause 0.5s]`, `[voice:joe]` and `[/voice]`. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Final

#: "[voice over the phone]" and "[pause-button]" are none: a name has a colon before it, a duration that or a blank.
_TAG: Final = re.compile(
    r"(?<!\\)\[[^\S\n]*+(?P<kind>/?voice|pause)(?:[^\S\n]*+[:=](?P<name>[^\[\]\n]*+)"
    r"|(?<=pause)[^\S\n][^\[\]\n]*+|[^\S\n]*+)\]",
    re.IGNORECASE,
)
_LEFT_OUT: Final = dict.fromkeys(range(0xFDD0, 0xFDDC))  #: no characters; the server leaves them out of every text


def tags(text: str) -> Iterator[re.Match[str]]:
    """The tags of a text."""
    return _TAG.finditer(text)


def is_pause(tag: re.Match[str]) -> bool:
    """Whether it is a pause."""
    return tag["kind"].lower() == "pause"


def voice_of(tag: re.Match[str]) -> str:
    """The voice that speaks after it; empty for a pause, and where the voice of the request speaks again."""
    return (tag["name"] or "").strip() if tag["kind"].lower() == "voice" else ""


def voices_in(text: str) -> set[str]:
    """The voices that the tags of a text name."""
    return {voice_of(tag) for tag in tags(text)} - {""}


def without_tags(text: str) -> str:
    """The text with a blank for each tag."""
    return _TAG.sub(" ", text)


def with_voices(text: str, change: Callable[[str], str]) -> str:
    """The text whose tags name `change(NAME)` for each NAME of a voice. It finds all the tags that the server finds."""
    if "[" not in text:
        return text

    def changed(tag: re.Match[str]) -> str:
        name = voice_of(tag)
        other = change(name) if name else name
        return tag[0] if other == name else f"[voice:{other}]"

    return _TAG.sub(changed, unicodedata.normalize("NFC", text).translate(_LEFT_OUT))
