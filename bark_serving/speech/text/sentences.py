"""Text to sentences: sentencex's rules for the language, and repairs where they part what belongs together.

A break is taken back where the left side ends in an abbreviation, an initial, an ordinal or a list number, between a
quotation and its verb, and beside a piece that only holds a mark such as ``[sighs]``. A line break ends a sentence,
unless a program has wrapped the lines. An empty line ends a paragraph. Each sentence of a song gets a note before and
after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import sentencex

from bark_serving.speech.text.abbreviations import BEFORE_A_NUMBER, BEFORE_A_SMALL_LETTER, TITLES, WITHIN, WORDS_TOO
from bark_serving.speech.text.cardinals import first_words
from bark_serving.speech.text.ordinals import goes_on_after

NOTE = "♪"  #: stands before and after what is sung
LINE_END = "\u2028"  #: Unicode's line separator; after an item of a list, which goes on with no other line
MIN_WRAPPED = 45  #: characters of a line that a program may have wrapped

_EMPTY_LINES = re.compile(r"\n\s*\n")
_ONLY_MARKS = re.compile(r"(?:(?:\[[^\]\n]{1,40}\]|♪|♫)\s*)+")
_LIST_NUMBER = re.compile(r"\(?(?:\d{1,3}|[A-Za-z]|[IVXivx]{2,4})[.)]|[-–—•*]")
_ORDINAL = re.compile(r"\d{1,4}\.")
_NUMBER = re.compile(r"\d|(?:[IVX]{2,}|[VX])\b")  #: also a Roman one; "I" alone may be a word
_ONE_LETTER = re.compile(r"(?<![^\W\d_])[^\W\d_]$")
#: "S.p.A", "J.-C": letters with full stops between them, but not "example.com".
_INNER_STOP = re.compile(r"(?:[^\W\d_]{1,2}[.-]+)+[^\W\d_]{1,2}")
_FRENCH_SPOON = re.compile(r"(?<!\w)c\. à [sc]\.")
_AFTER_AN_HOUR = re.compile(
    r"(?:(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|(?:AK|H|[ECMP])[SD]?T|GMT|UTC|BST|IST|JST|CES?T|EES?T|AE[SD]T|MSK)\b"
)
_CLOSING_QUOTES = '」』”’»"“'
#: What follows a quotation and belongs to it in Japanese and Korean. In other languages a small letter does.
_AFTER_QUOTE = re.compile(r"(?:と|って|라고|이라고|하고|라며|라는|고\s)")
_WITHOUT_INITIALS = frozenset({"ja", "zh", "ko"})


@dataclass(frozen=True)
class Sentence:
    """A sentence of a text, and what comes before it."""

    text: str  #: whitespace collapsed
    paragraph: bool = False  #: whether it begins a paragraph, but for the first
    whole: bool = True  #: False: what goes on with a sentence after a tag
    voice: str | None = None  #: named by a tag; None: the request's own
    pause_s: float | None = None  #: silence before it; None where no tag asks for a pause


def sentences(text: str, *, language: str) -> list[Sentence]:
    """The sentences of `text` in order. Nothing but blanks is lost."""
    found: list[Sentence] = []
    for line, paragraph in _lines(text):
        begins = len(found)
        for piece in sentencex.segment(language, line):
            if not piece.strip():
                continue
            if len(found) > begins and goes_on(found[-1].text, piece, language=language):
                found[-1] = replace(found[-1], text=found[-1].text + piece)
            else:
                found.append(Sentence(piece, paragraph=bool(found) and paragraph and len(found) == begins))
    return _beside_marks([replace(one, text=collapse(one.text)) for one in found])


def collapse(text: str) -> str:
    """Whitespace collapsed, as Bark does before it tokenises."""
    return " ".join(text.split())


def goes_on(left: str, right: str, *, language: str) -> bool:
    """Whether a sentence that seems to end with `left` goes on with `right`. Neither is blank."""
    parted = left[-1].isspace()
    left, right = left.strip(), right.strip()
    small, digit = right[0].islower() and not right[1:2].isupper(), bool(_NUMBER.match(right))  # "iPhone" is a name
    if _LIST_NUMBER.fullmatch(left):
        return True
    if left[-1] in _CLOSING_QUOTES and (small or _AFTER_QUOTE.match(right)):
        return True
    before, _, word = left.rpartition(" ")
    if not word.endswith(".") or word.endswith(".."):
        return False
    if _ORDINAL.fullmatch(word):
        return small or goes_on_after(left, right, language=language)
    stem = word[:-1].lstrip("(\"'„“«¿¡").lower()
    if _ONE_LETTER.search(stem) and not parted:
        return True  # within an abbreviation
    if len(stem) == 1 and word[-2].isupper() and language not in _WITHOUT_INITIALS:
        return True  # an initial
    if stem in TITLES.get(language, ()) and not before[-1:].isdigit():
        return True
    spelled = small and re.split(r"\W", right, maxsplit=1)[0] in first_words(language)
    if stem in BEFORE_A_NUMBER.get(language, ()) and (digit or (spelled and stem not in WORDS_TOO.get(language, ()))):
        return True
    if stem in ("a.m", "p.m") and _AFTER_AN_HOUR.match(right):
        return True
    if small and not spelled:
        if stem in BEFORE_A_SMALL_LETTER.get(language, ()) or ("." in stem and _INNER_STOP.fullmatch(stem)):
            return True
        if _FRENCH_SPOON.search(f"{left[-7:]} {right[:5]}"):
            return True
    return (small or digit) and stem in WITHIN.get(language, ())


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Lines of the text, whitespace collapsed, and whether each begins a paragraph. Wrapped lines are put together.

    sentencex 1.0.32 panics at some blanks beyond ASCII, which are plain ones here.

    Lines between two empty ones are wrapped if all but the last are long and one goes on with a small letter. Lines of
    poems, addresses and subtitles are short or begin with a capital.
    """
    for block in _EMPTY_LINES.split(text.replace("\r\n", "\n").replace("\r", "\n")):
        begins = True
        for part in block.split(LINE_END):
            own = [collapse(line) for line in part.split("\n") if line.strip()]
            long = all(len(line) >= MIN_WRAPPED for line in own[:-1])
            if long and any(line[0].islower() for line in own[1:]):
                own = [" ".join(own)]
            for line in own:
                yield line, begins
                begins = False


def _beside_marks(found: Sequence[Sentence]) -> list[Sentence]:
    """A piece of marks alone joins the piece after it, or the one before it at the end."""
    joined: list[Sentence] = []
    for piece in found:
        if joined and _ONLY_MARKS.fullmatch(joined[-1].text):
            joined[-1] = replace(joined[-1], text=f"{joined[-1].text} {piece.text}")
        else:
            joined.append(piece)
    if len(joined) > 1 and _ONLY_MARKS.fullmatch(joined[-1].text):
        last = joined.pop()
        joined[-1] = replace(joined[-1], text=f"{joined[-1].text} {last.text}")
    return joined


def sung(found: Sequence[Sentence]) -> list[Sentence]:
    """Where a song spans several sentences, each of them gets a note at both ends. One of notes alone may lose them."""
    texts = [one.text for one in found]
    odd = [index for index, text in enumerate(texts) if text.count(NOTE) % 2]
    for first, last in zip(odd[::2], odd[1::2], strict=False):
        texts[first] += f" {NOTE}"
        for index in range(first + 1, last):
            if NOTE not in texts[index]:
                texts[index] = f"{NOTE} {texts[index]} {NOTE}"
        # The note that ends a song may stand at the start of the sentence after it.
        after = texts[last].removeprefix(NOTE)
        texts[last] = f"{NOTE} {texts[last]}" if after == texts[last] else after.strip()
    return [replace(one, text=text) for one, text in zip(found, texts, strict=True)]
