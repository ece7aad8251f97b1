"""The pieces of a speech: what was spoken in one go, and when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bark_client.long_text import sentences
from bark_client.tags import without_tags


@dataclass(frozen=True)
class Piece:
    """What was spoken in one go: a sentence, some short ones, or a part of a long one."""

    text: str
    start: float  #: seconds from the beginning of the speech
    seconds: float  #: of audio
    voice: str | None = None  #: its name, if it has one
    seed: int | None = None
    verdict: str | None = None  #: "good", or what the server found wrong with it; None if it did not say
    attempts: int = 1  #: how often it was spoken until it was taken

    @property
    def end(self) -> float:
        """Seconds from the beginning of the speech."""
        return self.start + self.seconds


def parse(report: Mapping[str, Any]) -> tuple[Piece, ...]:
    """The pieces in the report of the last answer; none if the server does not tell them, or not in a form we know."""
    try:
        return tuple(
            Piece(
                text=str(piece["text"]),
                start=float(piece["start"]),
                seconds=float(piece["seconds"]),
                voice=piece.get("voice"),
                seed=piece.get("seed"),
                verdict=piece.get("verdict"),
                attempts=int(piece.get("attempts", 1)),
            )
            for piece in report.get("pieces") or ()
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return ()


def guess(text: str, *, starts: Sequence[float], seconds: float) -> tuple[Piece, ...]:
    """The pieces of a speech whose server did not tell them.

    starts: seconds at which each sentence begins. If our own rules find as many sentences in the text, those are the
    pieces. Else the whole text is one.
    """
    text = without_tags(text)
    found = sentences(text)
    if not seconds or not found:
        return ()
    if len(found) != len(starts):
        return (Piece(" ".join(text.split()), 0.0, seconds),)
    ends = (*starts[1:], seconds)
    return tuple(Piece(one, start, end - start) for one, start, end in zip(found, starts, ends, strict=True))


class Heard:
    """What was heard so far of a speech that has not ended."""

    def __init__(self, text: str) -> None:
        self.seconds = 0.0  #: of audio
        self._text = text
        self._starts: dict[int, float] = {}  # seconds, by number
        self._texts: list[str | None] = []  # of the pieces that have begun
        self._count = 0  # of pieces that the text has

    def add(self, number: int, text: str | None, *, seconds: float, of: int) -> None:
        """Count a chunk of the piece `number`. text: of the piece, if the server tells it; of: how many pieces."""
        if number not in self._starts:
            self._starts[number] = self.seconds
            self._texts.append(text)
        self.seconds += seconds
        self._count = of

    @property
    def starts(self) -> tuple[float, ...]:
        """The seconds at which the pieces begin."""
        return tuple(self._starts.values())

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The pieces, the last one as long as it was heard; none if the server does not tell them, nor our rules."""
        texts = [text for text in self._texts if text is not None]
        if len(texts) < len(self._texts):
            found = sentences(without_tags(self._text))
            texts = found[: len(self._texts)] if len(found) == self._count else []
        ends = (*self.starts[1:], self.seconds)
        return tuple(
            Piece(text, start, end - start) for text, start, end in zip(texts, self.starts, ends, strict=False)
        )


def until(pieces: Iterable[Piece], end: float) -> list[Piece]:
    """The pieces up to a moment, in seconds; the last one is cut there."""
    return [replace(piece, seconds=min(piece.seconds, end - piece.start)) for piece in pieces if piece.start < end]


def moved(pieces: Iterable[Piece], seconds: float) -> list[Piece]:
    """The pieces, so many seconds later."""
    return [replace(piece, start=piece.start + seconds) for piece in pieces]
