"""Sentences to pieces, each of which is one prompt: short neighbours are joined, long sentences are cut.

Bark babbles after a prompt of a word or two, and loses what goes beyond its longest speech. A sentence between these
bounds stays a piece of its own. Nothing is joined over a paragraph, a tag, or the border of a song.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bark_serving.arrays import Tokenise
from bark_serving.speech.text import pace
from bark_serving.speech.text.cutting import SHORT_S, Room, cut
from bark_serving.speech.text.sentences import NOTE, Sentence
from bark_serving.speech.text.signs import has_words

WHOLE_UP_TO = 1.6  #: times that duration: a sentence up to this length is not cut
SAFE_SHARE = 0.75  #: of a checkpoint's longest speech that a piece may be expected to take
FIRST_S = 3.5  #: expected seconds at pace 1 up to which the first piece is joined, so that its audio comes soon
COMMAS = {"ja": "、", "zh": "，"}  #: of languages that do not have the one of Latin script


@dataclass(frozen=True)
class Piece:
    """What one prompt says."""

    text: str
    seconds: float  #: expected length of its speech
    voice: str | None = None  #: named by a tag; None: the request's own
    silence_s: float = 0.0  #: before it
    sentence: bool = True  #: whether it begins a sentence; False: it goes on with one
    paragraph: bool = False  #: whether it begins a paragraph, but for the first


@dataclass(frozen=True)
class Plan:
    """How pieces are made. Durations are seconds of speech at the pace of the checkpoint."""

    tokens: int  #: that a prompt holds
    longest_s: float  #: the longest speech of the checkpoint
    pace: float = 1.0  #: of the checkpoint, 1 for Bark
    piece_duration_s: float = 7.0  #: that a part of a long sentence should have
    sentence_pause_s: float = 0.0
    paragraph_pause_s: float = 0.0

    @property
    def room(self) -> Room:
        """What a piece has room for, in seconds at pace 1."""
        longest = min(WHOLE_UP_TO * self.piece_duration_s, SAFE_SHARE * self.longest_s)
        return Room(self.tokens, longest * self.pace, min(self.piece_duration_s, longest) * self.pace)


@dataclass(frozen=True)
class _Part:
    """A piece that is being put together. seconds: expected, at pace 1."""

    sentence: Sentence
    seconds: float

    @property
    def short(self) -> bool:
        return self.seconds < SHORT_S

    @property
    def sung(self) -> bool:
        return NOTE in self.sentence.text


def plan(found: Sequence[Sentence], *, tokenise: Tokenise, language: str, how: Plan, comma: str = ",") -> list[Piece]:
    """The pieces of the sentences in order. Each has at most `how.tokens` tokens.

    comma: what is put between two lines without a sign at their end, where they are joined.
    """
    planner = _Planner(tokenise, language, how.room, comma)
    pieces: list[Piece] = []
    for stretch in _stretches(found):
        parts = [part for sentence in stretch for part in planner.cut(sentence)]
        for part in planner.join(parts, first=not pieces):
            pieces.append(_piece(part, how, first=not pieces))
    return pieces


def unsplit(found: Sequence[Sentence], *, language: str, how: Plan) -> list[Piece]:
    """A piece for each text between two tags, neither joined nor cut."""
    parts = [_Part(one, pace.seconds(one.text, language=language)) for one in found]
    return [_piece(part, how, first=not index) for index, part in enumerate(parts)]


def _piece(part: _Part, how: Plan, *, first: bool) -> Piece:
    one = part.sentence
    between = how.paragraph_pause_s if one.paragraph else how.sentence_pause_s if one.whole else 0.0
    silence = one.pause_s if one.pause_s is not None else 0.0 if first else between
    return Piece(one.text, part.seconds / how.pace, one.voice, silence, one.whole, one.paragraph)


def _stretches(found: Sequence[Sentence]) -> Iterator[list[Sentence]]:
    """Sentences that may be joined: of one paragraph and one voice, without a pause."""
    stretch: list[Sentence] = []
    for one in found:
        if stretch and (one.paragraph or one.pause_s is not None or one.voice != stretch[-1].voice):
            yield stretch
            stretch = []
        stretch.append(one)
    if stretch:
        yield stretch


class _Planner:
    """Cuts and joins by the rules of one language and the room of one checkpoint."""

    def __init__(self, tokenise: Tokenise, language: str, room: Room, comma: str) -> None:
        self._tokenise, self._language, self._room, self._comma = tokenise, language, room, comma

    def cut(self, sentence: Sentence) -> list[_Part]:
        """The sentence, or its parts where it is too long. A part of signs alone is left out."""
        texts = cut(sentence.text, tokenise=self._tokenise, language=self._language, room=self._room)
        texts = [text for text in texts if has_words(text)]
        rest = replace(sentence, whole=False, pause_s=None, paragraph=False)
        parts = (replace(sentence if index == 0 else rest, text=text) for index, text in enumerate(texts))
        return [_Part(part, pace.seconds(part.text, language=self._language)) for part in parts]

    def join(self, parts: Sequence[_Part], *, first: bool) -> list[_Part]:
        """Short parts with short neighbours until they are short no more; one that is left, with a longer neighbour.

        first: whether the first part is the first of the text.
        """
        groups: list[_Part] = []
        for part in parts:
            both = self._joined(groups[-1], part) if groups and groups[-1].short and part.short else None
            groups[-1:] = [both] if both else [*groups[-1:], part]
        joined: list[_Part] = []
        left = deque(groups)
        while left:
            part = left.popleft()
            if part.short:
                before = self._joined(joined[-1], part, first=first and len(joined) == 1) if joined else None
                after = self._joined(part, left[0], first=first and not joined) if left else None
                if after and (before is None or after.seconds <= before.seconds):
                    left[0] = after
                    continue
                if before:
                    joined[-1] = before
                    continue
            joined.append(part)
        return joined

    def _joined(self, left: _Part, right: _Part, *, first: bool = False) -> _Part | None:
        """Both as one, or None where they are too long together, or only one of them is sung."""
        seconds = left.seconds + right.seconds
        most = min(self._room.target_s, FIRST_S) if first else self._room.target_s
        if left.sung != right.sung or seconds > most:
            return None
        text = self._glued(left.sentence, right.sentence)
        if len(self._tokenise(text)) > self._room.tokens:
            return None
        return _Part(replace(left.sentence, text=text), seconds)

    def _glued(self, left: Sentence, right: Sentence) -> str:
        """Both texts, and a comma after a line without a sign at its end. A song keeps one pair of notes."""
        head, tail = left.text, right.text
        if head[-1] == NOTE == tail[0]:
            head, tail = head[:-1].rstrip(), tail[1:].lstrip()
        comma = self._comma if right.whole and head[-1:].isalnum() else ""
        return f"{head}{comma}{'' if self._language in COMMAS else ' '}{tail}"
