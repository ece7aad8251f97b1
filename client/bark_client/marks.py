"""Markdown in a text that is spoken in parts. Pure.

The server takes Markdown away from each request by itself, so each part must hold both ends of its marks. A mark that a
part leaves open is closed at its end, and opened again in the next part.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple

#: What begins code: ``` or ```python, and ~~~python. ~~~ alone parts scenes. The server has the same rule.
_FENCE: Final = re.compile(r"(`{3,})[ \t]*[^\s`]*|(~{3,})[^\s~]+")
_FENCE_END: Final = re.compile(r"`{3,}|~{3,}")
_QUOTE: Final = re.compile(r"(?:>[ \t]*)+")
#: A list item, a heading or code ends the paragraph before it.
_BLOCK: Final = re.compile(r"[-+*][ \t]|\d{1,9}[.)][ \t]|#{1,6}[ \t]|```|~~~")
_RULE: Final = re.compile(r"[-*_=~ \t]{3,}")  #: parts paragraphs, or underlines a heading
_UNDER_TABLE_HEAD: Final = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?")
#: Code in a line, brackets with the address of a link, and a sign that a backslash keeps: no mark in it counts.
_NO_MARKS: Final = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)|\]\([^()\s]*\)|\\[^\w\s]", re.DOTALL)
_MARK: Final = re.compile(r"(?<!\*)\*{1,3}(?!\*)|(?<!_)_{1,3}(?!_)|(?<!~)~~(?!~)")


class Open(NamedTuple):
    """The marks that a part leaves open."""

    again: str = ""  #: opens them at the beginning of the next part
    end: str = ""  #: closes them at the end of this part


def kept(again: str, text: str, *, newlines: int) -> str:
    """What is still open where the next part begins with `text`, so many newlines later.

    Code goes on until it is closed, everything else to the end of its paragraph.
    """
    if again.startswith(("```", "~~~")) or not newlines:
        return again
    return "" if newlines > 1 or _BLOCK.match(text) else again


def begins_line(text: str) -> bool:
    """Whether the text begins with a mark that counts at the beginning of a line only."""
    return text.startswith((">", "|")) or _BLOCK.match(text) is not None


def resumed(again: str, text: str) -> str:
    """The text with the marks before it. Where it begins with the end of one, both are left out."""
    if again.startswith(("```", "~~~", "|")):
        return again + text
    quote, marks = ("> ", again[2:]) if again.startswith(">") else ("", again)
    text = text[_QUOTE.match(text).end() :] if quote and text.startswith(">") else text  # type: ignore[union-attr]
    while marks and text.startswith(marks[-1]):
        marks, text = marks[:-1], text[1:]
    return quote + marks + text


def left_open(text: str) -> Open:
    """What is open at the end of a text: code, else a table, else emphasis."""
    fence = table = quote = ""
    paragraph: list[str] = []
    for whole_line in map(str.strip, text.split("\n")):
        if fence:
            fence = "" if _closes(whole_line, fence) else fence
            continue
        line = _QUOTE.sub("", whole_line, count=1) if whole_line.startswith(">") else whole_line
        quote = "> " if line != whole_line else ""
        if fence := _opens(line):
            table, paragraph = "", []
        elif paragraph and "|" in line and "|" in paragraph[-1] and _UNDER_TABLE_HEAD.fullmatch(line):
            columns = len(line.strip("|").split("|"))
            table = f"|{' |' * columns}\n|{'-|' * columns}\n"
        elif not line or _RULE.fullmatch(line):
            table, paragraph = "", []
        elif _BLOCK.match(line):
            table, paragraph = "", [line]
        elif not table:
            paragraph.append(line)
    if fence:
        return Open(f"{fence}code\n", f"\n{fence}")
    if table:
        return Open(table)
    marks = _emphasis("\n".join(paragraph))
    return Open(quote + "".join(marks), "".join(reversed(marks))) if marks else Open()


def code_lines(lines: Sequence[str]) -> set[int]:
    """The numbers of the lines that are code, with its ends. Code that is never closed is text."""
    ends = [number for number, line in enumerate(lines) if _FENCE_END.fullmatch(line)]
    found: set[int] = set()
    for number, line in enumerate(lines):
        if number not in found and (fence := _opens(line)):
            later = ends[bisect_right(ends, number) :]
            end = next((one for one in later if _closes(lines[one], fence)), number - 1)
            found.update(range(number, end + 1))
    return found


def _opens(line: str) -> str:
    """The signs with which a line begins code; empty if it does not."""
    match = _FENCE.fullmatch(line)
    return (match[1] or match[2]) if match else ""


def _closes(line: str, fence: str) -> bool:
    return line.startswith(fence) and not line.strip(fence[0])


def _emphasis(paragraph: str) -> list[str]:
    """The marks of emphasis that are open at the end of a paragraph, by the rules of CommonMark.

    Within a word of letters with case no mark opens: `5*6` and `x**2` are products.
    """
    text = _NO_MARKS.sub(lambda match: "x" * len(match[0]), paragraph)
    found: list[str] = []
    for match in _MARK.finditer(text):
        sign, count = match[0][0], len(match[0])
        before, after = text[match.start() - 1 : match.start()] or " ", text[match.end() : match.end() + 1] or " "
        begins = not after.isspace() and (not _is_sign(after) or before.isspace() or _is_sign(before))
        ends = not before.isspace() and (not _is_sign(before) or after.isspace() or _is_sign(after))
        while ends and count and any(mark[0] == sign for mark in found):
            while found[-1][0] != sign:
                found.pop()  # it was never closed: no mark
            closed = min(count, len(found[-1]))
            rest, count = found.pop()[closed:], count - closed
            if rest:
                found.append(rest)
        in_word = before.isdigit() or before.lower() != before.upper() or (sign == "_" and ends)
        if count and begins and not in_word:
            found.append(sign * count)
    return found


def _is_sign(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"
