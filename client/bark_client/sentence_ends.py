"""Where the sentences, paragraphs and table rows of a text end, for certain. Pure.

What may be no end is left out: the server knows the rules of each language.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from typing import Final

_PARAGRAPH_END: Final = re.compile(r"\n[^\S\n]*(?=\n)")
#: It begins only where a row of dots does: else a row of thousands would be read again from each of them.
SENTENCE_END: Final = re.compile(
    r"""(?<![.!?…۔؟।])[.!?…۔؟।]+["'”’»›)\]*_~]*(?=\s)|[。！？]+["'”’」』）]*"""
)  # fmt: skip
_WORD_OR_SIGN: Final = re.compile(r"\S")
#: What no passage ends within: a row of a table, code in a line, and brackets. Their ends may not be there yet.
_WHOLE: Final = re.compile(
    r"^[^\S\n]*\|[^\n]*"
    r"|(?<!`)(?P<code>`+)(?!`)(?:(?!\n[^\S\n]*\n)[\s\S]){0,200}?(?:(?<!`)(?P=code)(?!`)|\Z)"
    r"|(?<!\\)\[(?:(?!\n[^\S\n]*\n)[^\[\]]){0,200}(?:\]|\Z)",
    re.MULTILINE,
)
_ROW_END: Final = re.compile(r"^[^\S\n]*\|[^\n]*+(?=\n[\s|:]*+[^\s|:-])", re.MULTILINE)  #: not before `|---|`
_WORD_BEFORE: Final = re.compile(r"[\w.]*$")
_LATIN_VOWEL: Final = re.compile("[aeiouyAEIOUY]")


def paragraph_ends(text: str) -> Iterator[int]:
    """Where paragraphs end, before the empty line."""
    return (found.start() for found in _PARAGRAPH_END.finditer(text))


def sentence_ends(text: str) -> Iterator[int]:
    """Where sentences and rows of tables end for certain.

    What may be no end is left out: the server knows the rules of each language.
    """
    rows = (row.end() for row in _ROW_END.finditer(text))
    yield from heapq.merge(rows, _ends_outside(_WHOLE.sub(_without_ends, text)))


def _without_ends(whole: re.Match[str]) -> str:
    """Letters in the place of what has no end inside."""
    text = whole[0]
    if "|" in text[:1] + text.lstrip()[:1]:
        return "|".ljust(len(text), "x")
    return f"{text[0]}{'x' * (len(text) - 2)}{text[1:][-1:]}"


def _ends_outside(text: str) -> Iterator[int]:
    """The ends of the sentences of a text."""
    for match in SENTENCE_END.finditer(text):
        following = _WORD_OR_SIGN.search(text, match.end())
        if following is None or following[0].islower() or _may_be_abbreviated(text, match.start()):
            continue
        yield match.end()


def in_brackets(text: str, end: int) -> bool:
    """Whether a place is inside something like `[pause 0.5s]`."""
    start = max(0, end - 40)
    return text.rfind("]", start, end) < text.rfind("[", start, end)


def _may_be_abbreviated(text: str, stop: int) -> bool:
    """Whether the full stop may belong to the word: `Dr.`, `Prof.`, `z. B.`, `i.e.`, `vs.`, `20.`, `डॉ.`."""
    if text[stop] != ".":
        return False
    word = _WORD_BEFORE.search(text, max(0, stop - 20), stop).group()  # type: ignore[union-attr]
    if len(word) <= 1 or "." in word or word.isdecimal():
        return True
    without_case, without_vowel = word.lower() == word.upper(), word.isascii() and not _LATIN_VOWEL.search(word)
    return (word[0].isupper() and len(word) <= 4) or (len(word) <= 3 and (without_case or without_vowel))
