"""A long text to passages: what one request says. Each ends at a paragraph or a sentence. Pure.

The passages depend on the text only, not on the pieces that it arrives in. They grow, because the first ones of a text
that is still being written should not wait for much of it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal, TypeAlias

from bark_client.errors import InvalidRequest
from bark_client.tags import is_pause, tags, voice_of, without_tags

MAX_REQUEST_CHARACTERS: Final = 20_000  #: the server's limit; a text up to it is spoken in one request
MAX_PASSAGE_CHARACTERS: Final = 2_000  #: two or three minutes of speech
FIRST_PASSAGE_CHARACTERS: Final = 250  #: at most, where a sentence ends there; each next passage has twice as many
MIN_SENTENCE_CHARACTERS: Final = 20  #: of a passage that is a sentence: Bark says a word alone badly
_LOOKAHEAD_CHARACTERS: Final = 40  # after a possible end, to see what follows it
_MIN_WRAPPED_CHARACTERS: Final = 45  # of a line that a program has broken; the server has the same rule

_PARAGRAPH_END: Final = re.compile(r"\n[^\S\n]*(?=\n)")
#: It begins only where a row of dots does: else a row of thousands would be read again from each of them.
_SENTENCE_END: Final = re.compile(
    r"""(?<![.!?…۔؟।])[.!?…۔؟।]+["'”’»›)\]*_]*(?=\s)|[。！？]+["'”’」』）]*"""
)  # fmt: skip
_WORD_OR_SIGN: Final = re.compile(r"\S")
_CLAUSE_END: Final = re.compile(r"[,;:–—](?=\s)|[，、；：]")
_SPACE: Final = re.compile(r"\s")
_WORD_BEFORE: Final = re.compile(r"[\w.]*$")
_LATIN_VOWEL: Final = re.compile("[aeiouyAEIOUY]")


Gap: TypeAlias = Literal["none", "part", "sentence", "paragraph"]


@dataclass(frozen=True)
class Passage:
    """What one request of a long text says."""

    text: str
    #: What parts it from the passage before it: "none" at the beginning, and where a tag makes a pause; "part" where it
    #: goes on with a sentence.
    gap: Gap = "none"
    tags: str = ""  #: of the text before it, which count on: the voice that speaks, and pauses


class Gatherer:
    """Takes a text in any pieces and gives its passages, each as soon as it is known. No passage is without a word.

    sentences: each sentence is a passage, so that a conversation waits for no more than that.
    """

    def __init__(self, *, sentences: bool = False) -> None:
        self._sentences = sentences
        self._text = ""  # not yet given
        self._limit = FIRST_PASSAGE_CHARACTERS
        self._line_start = 0  # characters of the current line that were given already
        self._newlines = 0  # since the text that was given
        self._gap: Gap = "none"
        self._voice = self._pauses = ""  # tags that count on

    def feed(self, piece: str) -> Iterator[Passage]:
        """Add a piece; yields what can be given now."""
        self._text += piece
        yield from self._passages(ended=False)

    def flush(self) -> Iterator[Passage]:
        """Yields what is there now. The text may go on, also within a sentence."""
        passage = None
        for passage in self._passages(ended=True):
            yield passage
        if passage is not None and self._gap == "sentence" and not _ends_sentence(passage.text):
            self._gap = "part"

    def end(self) -> Iterator[Passage]:
        """Yields the rest."""
        yield from self._passages(ended=True)

    def _passages(self, *, ended: bool) -> Iterator[Passage]:
        while True:
            self._skip_space()
            if not self._text:
                return
            if self._sentences:
                end = _end_of_sentence(self._text, ended=ended)
            else:
                end = _end_of_passage(self._text, limit=self._limit, ended=ended)
            if end is None:
                return
            text, self._text = self._text[:end], self._text[end:]
            self._newlines = 0
            unwrapped = self._unwrapped(text)
            self._line_start = 0 if "\n" in text else self._line_start
            self._line_start += len(text) - (text.rfind("\n") + 1)
            yield from self._passage(unwrapped)

    def _passage(self, text: str) -> Iterator[Passage]:
        """The passage of this text; none if it has no word. Keeps what counts on."""
        found = list(tags(text))
        pauses = [tag for tag in found if is_pause(tag)]
        if _has_word(text):
            paused = self._pauses or any(not _has_word(text[: tag.start()]) for tag in pauses)
            yield Passage(text, "none" if paused else self._gap, self._voice + self._pauses)
            self._limit = min(2 * self._limit, MAX_PASSAGE_CHARACTERS)
            self._gap = "none" if any(not _has_word(text[tag.end() :]) for tag in pauses) else "sentence"
            self._pauses = ""
        elif len(self._pauses) < MAX_PASSAGE_CHARACTERS:  # else a text of pauses alone would grow for ever
            self._pauses += "".join(tag[0] for tag in pauses)
        for tag in found:
            if not is_pause(tag):
                self._voice = tag[0] if voice_of(tag) else ""

    def _skip_space(self) -> None:
        """Forget the space before the next passage, but for what it means. It may come in several pieces."""
        rest = self._text.lstrip()
        self._newlines += self._text[: len(self._text) - len(rest)].count("\n")
        self._text = rest
        if self._newlines:
            self._line_start = 0
        if self._newlines >= 2 and self._gap != "none":
            self._gap = "paragraph"

    def _unwrapped(self, text: str) -> str:
        """Join the rest of a line to the next line, where a program has broken a longer line.

        The server finds broken lines by their length, and this one is shorter than it was.
        """
        line, newline, rest = text.rstrip().partition("\n")
        broken = self._line_start and self._line_start + len(line) >= _MIN_WRAPPED_CHARACTERS
        if newline and broken and rest.lstrip(" \t")[:1] not in ("\n", ""):
            return f"{line.rstrip()} {rest}"
        return f"{line}{newline}{rest}"


def gather(source: Iterable[str]) -> Iterator[Passage]:
    """The passages of a text that comes in fragments. InvalidRequest for one that is no text."""
    gatherer = Gatherer()
    for fragment in [source] if isinstance(source, str) else source:
        yield from gatherer.feed(_checked(fragment))
    yield from gatherer.end()


async def gather_async(source: Iterable[str] | AsyncIterable[str]) -> AsyncGenerator[Passage, None]:
    """`gather`, also for fragments that are awaited."""
    if not isinstance(source, AsyncIterable):
        for passage in gather(source):
            yield passage
        return
    gatherer = Gatherer()
    async for fragment in source:
        for passage in gatherer.feed(_checked(fragment)):
            yield passage
    for passage in gatherer.end():
        yield passage


def sentences(text: str) -> list[str]:
    """The sentences of a text by simple rules, each on one line. The server has better ones, for each language."""
    ends = [*_sentence_ends(text), *_paragraph_ends(text), len(text)]
    bounds = sorted({0, *ends})
    found = (" ".join(text[start:end].split()) for start, end in pairwise(bounds))
    return [sentence for sentence in found if any(map(str.isalnum, sentence))]


def is_long(text: Any) -> bool:
    """Whether a text takes several requests: it comes in fragments, or one request can't hold it."""
    if isinstance(text, str):
        return len(text) > MAX_REQUEST_CHARACTERS
    return isinstance(text, Iterable | AsyncIterable) and not isinstance(text, bytes | bytearray)


def _has_word(text: str) -> bool:
    return any(map(str.isalnum, without_tags(text)))


def _checked(piece: object) -> str:
    if not isinstance(piece, str):
        raise InvalidRequest(f"text: expected fragments of type str, not {type(piece).__name__}")
    return piece


def _end_of_passage(text: str, *, limit: int, ended: bool) -> int | None:
    """Where the first passage ends; None if more of the text must be known for that.

    In the order of preference: all of the text; a paragraph's or a sentence's end in the second half of `limit`
    characters; the next such end after them; an earlier one; a line's, a clause's or a word's end; the very maximum.
    The choice looks at a fixed number of characters, so that it is the same in whatever pieces the text arrives.
    """
    seen = limit + _LOOKAHEAD_CHARACTERS
    if len(text) < seen:
        if not ended:
            return None
        if len(text.rstrip()) <= limit:
            return len(text.rstrip())
    near = text[:seen]
    for ends in (_paragraph_ends(near), _sentence_ends(near)):
        if found := [end for end in ends if limit // 2 <= end <= limit]:
            return found[-1]
    seen = MAX_PASSAGE_CHARACTERS + _LOOKAHEAD_CHARACTERS
    if len(text) < seen and not ended:
        return None
    return _end_within_maximum(text[:seen].rstrip(), limit=limit)


def _end_of_sentence(text: str, *, ended: bool) -> int | None:
    """Where the first sentence ends, with the short ones before it; None if more of the text must be known for that."""
    near = text[: MAX_PASSAGE_CHARACTERS + _LOOKAHEAD_CHARACTERS]
    firsts = (
        next((end for end in ends if end >= MIN_SENTENCE_CHARACTERS), None)
        for ends in (_paragraph_ends(near), _sentence_ends(near))
    )
    end = min((first for first in firsts if first is not None), default=None)
    if end is not None and end <= MAX_PASSAGE_CHARACTERS:
        return end
    if len(near) == MAX_PASSAGE_CHARACTERS + _LOOKAHEAD_CHARACTERS:
        return _end_within_maximum(near.rstrip(), limit=MAX_PASSAGE_CHARACTERS)
    return len(text.rstrip()) if ended else None


def _end_within_maximum(text: str, *, limit: int) -> int:
    most = MAX_PASSAGE_CHARACTERS
    paragraphs, sentences = [*_paragraph_ends(text)], [*_sentence_ends(text)]
    later = [end for end in (*paragraphs, *sentences) if limit < end <= most]
    if later:
        return min(later)
    if len(text) <= most:
        return len(text)
    fallbacks = (
        paragraphs,
        sentences,
        [found.end() for found in _SENTENCE_END.finditer(text)],
        [place for place, sign in enumerate(text) if sign == "\n"],
        [found.end() for found in _CLAUSE_END.finditer(text)],
        [found.start() for found in _SPACE.finditer(text)],
    )
    for ends in fallbacks:
        if found := [end for end in ends if 0 < end <= most and not _in_brackets(text, end)]:
            return found[-1]
    return _between_characters(text, most)


def _paragraph_ends(text: str) -> Iterator[int]:
    return (found.start() for found in _PARAGRAPH_END.finditer(text))


def _sentence_ends(text: str) -> Iterator[int]:
    """Where sentences end for certain. What may be no end is left out: the server knows the rules of each language."""
    for match in _SENTENCE_END.finditer(text):
        following = _WORD_OR_SIGN.search(text, match.end())
        if following is None or following[0].islower() or _may_be_abbreviated(text, match.start()):
            continue
        if not _in_brackets(text, match.end()):
            yield match.end()


def _ends_sentence(text: str) -> bool:
    """Whether a text ends with a sentence for certain, when another one follows."""
    return any(not _has_word(text[end:]) for end in _sentence_ends(f"{text} A"))


def _in_brackets(text: str, end: int) -> bool:
    """Whether a place is inside something like `[pause 0.5s]`."""
    start = max(0, end - 40)
    return text.rfind("]", start, end) < text.rfind("[", start, end)


def _between_characters(text: str, end: int) -> int:
    """`end`, or before it, such that no letter is parted from its accents."""
    while end > 1 and (unicodedata.combining(text[end]) or unicodedata.category(text[end]) in ("Mc", "Cf")):
        end -= 1
    return end


def _may_be_abbreviated(text: str, stop: int) -> bool:
    """Whether the full stop may belong to the word: `Dr.`, `Prof.`, `z. B.`, `i.e.`, `vs.`, `20.`, `डॉ.`."""
    if text[stop] != ".":
        return False
    word = _WORD_BEFORE.search(text, max(0, stop - 20), stop).group()  # type: ignore[union-attr]
    if len(word) <= 1 or "." in word or word.isdecimal():
        return True
    without_case, without_vowel = word.lower() == word.upper(), word.isascii() and not _LATIN_VOWEL.search(word)
    return (word[0].isupper() and len(word) <= 4) or (len(word) <= 3 and (without_case or without_vowel))
