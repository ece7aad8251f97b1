"""A text to chapters, at its headings. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_MARKDOWN: Final = re.compile(r"#{1,2}[ \t]+(?P<title>\S.*?)[ \t]*#*")
_DIGITS: Final = r"\d{1,4}"
_ROMAN: Final = r"[ivxlcdm]{1,15}"  # MMMDCCCLXXXVIII is the longest
_ONES: Final = "one|two|three|four|five|six|seven|eight|nine"
_TEENS: Final = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_TENS: Final = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_WORDS: Final = rf"(?:{_TENS})(?:[ \t-](?:{_ONES}))?|{_TEENS}|{_ONES}"  # to ninety-nine
_KIND: Final = (
    "chapter|part|book|kapitel|teil|chapitre|partie|capítulo|capitulo|parte|capitolo|rozdział|część|глава|часть|bölüm"
    "|kısım|अध्याय"
)
#: A line like "Chapter 3", "CHAPTER IV. The Ball", "Chapter Twenty-One" or "Kapitel 3: Der Ball". The kind is a word of
#: any language of Bark, a number in words is English.
_CHAPTER: Final = re.compile(
    rf"(?:{_KIND})[ \t]+(?:{_DIGITS}|{_ROMAN}|{_WORDS})\b[ \t]*(?:[.:–—-][ \t]*.{{0,80}}|)", re.IGNORECASE
)
_EAST_ASIAN: Final = re.compile(
    r"(?:第[ \t]*[\d〇零一二两兩三四五六七八九十百千]+[ \t]*[章回部話话]|제?[ \t]*\d+[ \t]*[장화부])"
    r"(?:[ \t:：].{0,40}|)"
)
#: What begins code: ``` with anything, and ~~~ with one word. The server has the same rule.
_FENCE: Final = re.compile(r"(`{3,})[^`]*|(~{3,})[ \t]*[^\s~]+")


@dataclass(frozen=True)
class Chapter:
    """A part of a book: a file of its own."""

    title: str
    text: str  #: with its heading


def split_chapters(text: str, *, title: str, markdown: bool = True) -> list[Chapter]:
    """The chapters of a text. What is before the first heading is a chapter, called `title`; so is a text without any.

    A heading is a line `# …` or `## …` outside code, or one like "Chapter 3" with empty lines around it. A heading
    without text, such as that of a table of contents, belongs to the chapter after it. Without `markdown` there is no
    code.
    """
    lines = text.splitlines(keepends=True)
    stripped = [line.strip() for line in lines]
    starts = _headings(stripped, code=_code(stripped) if markdown else set())
    found: list[Chapter] = []
    pending = ""  # headings without text
    bounds = [(0, title), *starts, (len(lines), "")]
    for number, ((start, name), (end, _)) in enumerate(pairwise(bounds)):
        part = "".join(lines[start:end])
        body = "".join(lines[start + 1 : end]) if number else part
        if any(map(str.isalnum, body)):
            found.append(Chapter(name, pending + part))
            pending = ""
        else:
            pending += part
    if pending.strip() and found:  # a last heading without text
        found[-1] = Chapter(found[-1].title, found[-1].text + pending)
    elif any(map(str.isalnum, pending)):
        found.append(Chapter(title, pending))
    return found


def _headings(lines: list[str], *, code: set[int]) -> list[tuple[int, str]]:
    """Line numbers and titles. code: the numbers of lines that are none."""
    found = []
    for number, line in enumerate(lines):
        if number in code:
            continue
        if markdown := _MARKDOWN.fullmatch(line):
            found.append((number, markdown["title"]))
        elif _CHAPTER.fullmatch(line) or _EAST_ASIAN.fullmatch(line):
            alone = not any(lines[max(0, number - 1) : number]) and not any(lines[number + 1 : number + 2])
            if alone:
                found.append((number, line))
    return found


def _code(lines: list[str]) -> set[int]:
    """The numbers of the lines that are code, with its first and last. Code that is never closed is text."""
    found: set[int] = set()
    unclosed: set[str] = set()
    for number, line in enumerate(lines):
        match = _FENCE.fullmatch(line)
        if number in found or not match or (fence := match[1] or match[2]) in unclosed:
            continue
        ends = (end for end in range(number + 1, len(lines)) if _closes(lines[end], fence))
        if (end := next(ends, None)) is None:
            unclosed.add(fence)
        else:
            found.update(range(number, end + 1))
    return found


def _closes(line: str, fence: str) -> bool:
    return line.startswith(fence) and not line.strip(fence[0])
