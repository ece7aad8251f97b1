"""Text to sentences: sentencex's rules for the language, and repairs where they part what belongs together.

A break is taken back where the left side ends in an abbreviation, an initial, an ordinal or a list number, between a
quotation and its verb, and beside a piece that only holds a mark such as ``[sighs]``. A line break ends a sentence,
unless a program has wrapped the lines. Each sentence of a song gets a note before and after it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import sentencex

from bark_serving.speech.text.abbreviations import BEFORE_A_NUMBER, BEFORE_AN_ORDINAL, TITLES, WITHIN

NOTE = "♪"  #: stands before and after what is sung
MIN_WRAPPED = 45  #: characters of a line that a program may have wrapped

_EMPTY_LINES = re.compile(r"\n\s*\n")
_ONLY_MARKS = re.compile(r"(?:(?:\[[^\]\n]{1,40}\]|♪|♫)\s*)+")
_LIST_NUMBER = re.compile(r"\(?(?:\d{1,3}|[A-Za-z]|[IVXivx]{2,4})[.)]|[-–—•*]")
_ORDINAL = re.compile(r"\d{1,4}\.")
_CLOSING_QUOTES = '」』”’»"“'
#: What follows a quotation and belongs to it in Japanese and Korean. In other languages a small letter does.
_AFTER_QUOTE = re.compile(r"(?:と|って|라고|이라고|하고|라며|라는|고\s)")
_WITHOUT_INITIALS = frozenset({"ja", "zh", "ko"})


def sentences(text: str, *, language: str) -> list[str]:
    """The sentences of `text` in order, whitespace collapsed. Nothing but blanks is lost; a song may gain notes."""
    found: list[str] = []
    for line in _lines(text):
        start = len(found)
        for piece in sentencex.segment(language, line):
            if not piece.strip():
                continue
            if len(found) > start and goes_on(found[-1].strip(), piece.strip(), language=language):
                found[-1] += piece
            else:
                found.append(piece)
    return _with_notes(_beside_marks([collapse(piece) for piece in found]))


def collapse(text: str) -> str:
    """Whitespace collapsed, as Bark does before it tokenises."""
    return " ".join(text.split())


def goes_on(left: str, right: str, *, language: str) -> bool:
    """Whether a sentence that seems to end with `left` goes on with `right`. Neither is empty."""
    small, digit = right[0].islower(), right[0].isdigit()
    if _LIST_NUMBER.fullmatch(left):
        return True
    if left[-1] in _CLOSING_QUOTES and (small or _AFTER_QUOTE.match(right)):
        return True
    before, _, word = left.rpartition(" ")
    if not word.endswith("."):
        return False
    if _ORDINAL.fullmatch(word):
        return small or before.rpartition(" ")[2].lower() in BEFORE_AN_ORDINAL.get(language, ())
    stem = word[:-1].lstrip("(\"'„“«¿¡").lower()
    if len(stem) == 1 and word[-2].isupper() and language not in _WITHOUT_INITIALS:
        return True  # an initial
    if stem in TITLES.get(language, ()) and not before[-1:].isdigit():
        return True
    if digit and stem in BEFORE_A_NUMBER.get(language, ()):
        return True
    return (small or digit) and stem in WITHIN.get(language, ())


def _lines(text: str) -> Sequence[str]:
    """Lines of the text, whitespace collapsed. Lines that a program has wrapped are put together again.

    sentencex 1.0.32 panics at some blanks beyond ASCII, which are plain ones here.

    Lines between two empty ones are wrapped if all but the last are long and one goes on with a small letter. Lines of
    poems, addresses and subtitles are short or begin with a capital.
    """
    lines: list[str] = []
    for block in _EMPTY_LINES.split(text.replace("\r\n", "\n").replace("\r", "\n")):
        own = [collapse(line) for line in block.split("\n") if line.strip()]
        long = all(len(line) >= MIN_WRAPPED for line in own[:-1])
        if long and any(line[0].islower() for line in own[1:]):
            own = [" ".join(own)]
        lines += own
    return lines


def _beside_marks(found: Sequence[str]) -> list[str]:
    """A piece of marks alone joins the piece after it, or the one before it at the end."""
    joined: list[str] = []
    for piece in found:
        if joined and _ONLY_MARKS.fullmatch(joined[-1]):
            joined[-1] = f"{joined[-1]} {piece}"
        else:
            joined.append(piece)
    if len(joined) > 1 and _ONLY_MARKS.fullmatch(joined[-1]):
        last = joined.pop()
        joined[-1] = f"{joined[-1]} {last}"
    return joined


def _with_notes(found: Sequence[str]) -> list[str]:
    """Where a song spans several sentences, each of them gets a note at both ends."""
    odd = [index for index, piece in enumerate(found) if piece.count(NOTE) % 2]
    sung = list(found)
    for first, last in zip(odd[::2], odd[1::2], strict=False):
        sung[first] += f" {NOTE}"
        for index in range(first + 1, last):
            if NOTE not in sung[index]:
                sung[index] = f"{NOTE} {sung[index]} {NOTE}"
        # The note that ends a song may stand at the start of the sentence after it.
        after = sung[last].removeprefix(NOTE)
        sung[last] = f"{NOTE} {sung[last]}" if after == sung[last] else after.strip()
    return [piece for piece in sung if piece]
