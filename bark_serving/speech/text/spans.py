"""Tags in a text: ``[pause 0.5s]`` is silence, ``[voice:joe]`` is the voice of what follows, up to the next such tag.

`hide` puts a mark in the place of each tag, so that Markdown, numbers and signs can be read around it. `segments`
takes the text apart at the marks. Other words in brackets, such as ``[laughs]`` and ``[voice cracks]``, are left to
the model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bark_serving.errors import InvalidRequest

DEFAULT_PAUSE_S = 0.5
MAX_PAUSE_S = 10.0
MAX_PAUSES_S = 300.0  #: of all pauses of a text together
MAX_VOICES = 32  #: that one text may name

#: Characters that Unicode keeps for internal use, so that no text has them: ten digits, and two that enclose them.
_DIGITS = "".join(map(chr, range(0xFDD0, 0xFDDA)))
_OPEN, _CLOSE = "\ufdda", "\ufddb"
_MARKS = frozenset(_DIGITS + _OPEN + _CLOSE)
_MARK = re.compile(f"{_OPEN}([{_DIGITS}]+){_CLOSE}")
#: Marks before signs that Markdown has at the beginning of a line: of code, headings, lists, quotations and tables.
_BEFORE_MARKDOWN = re.compile(
    rf"^[^\S\n]*((?:{_OPEN}[{_DIGITS}]+{_CLOSE}[^\S\n]*)+)"
    r"((?:`{3,}[ \t]*[^\s`]*|~{3,}[^\s~]*)[ \t]*\n|`{3,}|~{3,}"
    r"|(?:#{1,6}[ \t]+|[-+*][ \t]+(?:\[[ xX]\][ \t]+)?|>[ \t]*)+|\|)",
    re.MULTILINE,
)
_TO_MARK = str.maketrans("0123456789", _DIGITS)
_FROM_MARK = str.maketrans(_DIGITS, "0123456789")

#: A bracket after a backslash is no tag, as in Markdown. A voice comes after a colon, a pause after that or a blank, so
#: that "[voice cracks]" and "[pause-button]" are none. The client's `bark_client.tags` reads the same.
_TAG = re.compile(
    r"(?<!\\)\[[^\S\n]*+(?P<kind>/?voice|pause)(?:[^\S\n]*+[:=](?P<argument>[^\[\]\n]*+)"
    r"|(?<=pause)[^\S\n](?P<duration>[^\[\]\n]*+)|[^\S\n]*+)(?P<end>\]|(?=\[))",
    re.IGNORECASE,
)
_DURATION = re.compile(r"(\d+(?:[.,]\d*)?|[.,]\d+)\s*(ms|milliseconds?|s|sec|secs|seconds?)?", re.IGNORECASE)
_EMPTY_LINE = re.compile(r"\n\s*\n")
_END = re.compile(r"[.!?…。！？।♪][\"'”’»」』)\]]*$")
_CLOSING_SIGNS = re.compile(r"[ \t]*[,;:.!?…。、，；：！？]+(?=\s|$)")  #: that belong to the words before a tag


@dataclass(frozen=True)
class Pause:
    """Silence of this length."""

    seconds: float


@dataclass(frozen=True)
class VoiceChange:
    """From here on this voice speaks. None: the request's own."""

    name: str | None


Tag = Pause | VoiceChange


@dataclass(frozen=True)
class Segment:
    """Text between two tags."""

    text: str
    voice: str | None = None  #: named by a tag; None: the request's own
    pause_s: float | None = None  #: silence before it; None where no tag asks for a pause
    paragraph: bool = False  #: whether an empty line parts it from the text before
    whole: bool = True  #: False: it goes on with the sentence before the tag


def hide(text: str) -> tuple[str, tuple[Tag, ...]]:
    """The text with a mark in place of each tag, and the tags. Raises `InvalidRequest` for a tag that is none."""
    found: list[Tag] = []

    def mark(match: re.Match[str]) -> str:
        found.append(_read(match))
        return f"{_OPEN}{str(len(found) - 1).translate(_TO_MARK)}{_CLOSE}"

    text = _TAG.sub(mark, text.translate(dict.fromkeys(map(ord, _MARKS))))
    _check(found)
    return text, tuple(found)


def past_markdown(text: str) -> str:
    """The text with its marks after the signs that Markdown has at the beginning of a line."""
    return _BEFORE_MARKDOWN.sub(r"\2\1", text)


def apart(text: str) -> str:
    """The text with blanks around its marks."""
    return _MARK.sub(r" \g<0> ", text)


def without(text: str) -> str:
    """The text with a blank for each mark."""
    return _MARK.sub(" ", text)


def is_mark(sign: str) -> bool:
    """Whether this is a character of a mark."""
    return sign in _MARKS


def segments(text: str, tags: Sequence[Tag]) -> tuple[list[Segment], float]:
    """The text between the marks, and the pause after all of it, in seconds. Pauses beside each other add up."""
    found: list[Segment] = []
    after = Segment("")  # what the next text will have, but for the text
    gap = ""  # the blanks since the last text
    for index, part in enumerate(_MARK.split(text)):
        if index % 2:
            tag = tags[int(part.translate(_FROM_MARK))]
            if isinstance(tag, Pause):
                after = replace(after, pause_s=(after.pause_s or 0.0) + tag.seconds)
            else:
                after = replace(after, voice=tag.name)
            continue
        if found and (closing := _CLOSING_SIGNS.match(part)):
            found[-1] = replace(found[-1], text=found[-1].text.rstrip() + closing[0].strip())
            part = part[closing.end() :]
        words = part.strip()
        if not words:
            gap += part
            continue
        start = part.index(words)
        paragraph = _EMPTY_LINE.search(gap + part[:start]) is not None
        ended = not found or "\n" in gap + part[:start] or _END.search(found[-1].text) is not None
        found.append(replace(after, text=words, paragraph=bool(found) and paragraph, whole=ended))
        gap = part[start + len(words) :]
        after = Segment("", voice=after.voice)
    return found, after.pause_s or 0.0


def _read(match: re.Match[str]) -> Tag:
    kind, argument = match["kind"].lower(), (match["argument"] or match["duration"] or "").strip()
    shown = match[0][:40]
    if not match["end"]:
        raise InvalidRequest(f"{shown!r} is not closed: write ] before the next [.")
    if kind == "pause":
        return Pause(_duration(argument, shown))
    return VoiceChange(argument if argument and kind == "voice" else None)


def _duration(argument: str, shown: str) -> float:
    if not argument:
        return DEFAULT_PAUSE_S
    match = _DURATION.fullmatch(argument)
    if match is None:
        raise InvalidRequest(f"{shown!r} is no pause: write [pause], [pause 0.5s] or [pause 500ms].")
    duration = float(match[1].replace(",", "."))
    if (match[2] or "").lower().startswith("m"):
        duration /= 1000
    if duration > MAX_PAUSE_S:
        raise InvalidRequest(f"{shown!r} is too long: a pause has at most {MAX_PAUSE_S:g} s.")
    return duration


def _check(tags: Sequence[Tag]) -> None:
    total = sum(tag.seconds for tag in tags if isinstance(tag, Pause))
    if total > MAX_PAUSES_S:
        raise InvalidRequest(
            f"the pauses of the text add up to {total:.0f} s; the limit is {MAX_PAUSES_S:.0f} s: "
            "split the text into several requests."
        )
    names = {tag.name for tag in tags if isinstance(tag, VoiceChange) and tag.name}
    if len(names) > MAX_VOICES:
        raise InvalidRequest(
            f"the text names {len(names)} voices; the limit is {MAX_VOICES}: split it into several requests."
        )
