"""What a list says about each voice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bark_serving.voices.names import language_of


@dataclass(frozen=True)
class Entry:
    """One row of a list of voices.

    language: of the name, else of the names that voices with the same arrays have. stored: it can be deleted and
    renamed. created: ISO time, None if not stored.
    """

    name: str
    hash: str
    language: str | None
    semantic_tokens: int
    frames: int
    seconds: float
    stored: bool
    created: str | None


def shared_language(entry: Entry, names: Iterable[str]) -> str | None:
    """The language of an entry: its own, else the only one that the names of voices with the same arrays state.

    Suno's ``speaker_0`` to ``speaker_9`` are the arrays of ``zh_speaker_0`` to ``zh_speaker_9``.
    """
    stated = {language for name in names if (language := language_of(name))}
    return entry.language or (stated.pop() if len(stated) == 1 else None)
