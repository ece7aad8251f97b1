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


def moved(pieces: Iterable[Piece], seconds: float) -> list[Piece]:
    """The pieces, so many seconds later."""
    return [replace(piece, start=piece.start + seconds) for piece in pieces]
