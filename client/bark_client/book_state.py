"""What is noted of a book: `book.json`, and whether a command goes on with the same book."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from bark_client import growing
from bark_client.chapters import Chapter
from bark_client.errors import InvalidRequest
from bark_client.long_text import gather
from bark_client.protocol import SAMPLE_RATE

STATE: Final = "book.json"
VERSION: Final = 1  #: of the state, and of how a text is gathered to requests
_MAX_NAME_CHARACTERS: Final = 40


@dataclass
class ChapterState:
    """What is done of a chapter."""

    name: str  #: of its files, without a suffix
    sha256: str  #: of its passages
    samples: list[int] = field(default_factory=list)  #: of audio, after each request that is done
    captions_bytes: int = 0  #: of the file of pieces, after the last of them
    complete: bool = False  #: its files are written


@dataclass
class State:
    """The content of `book.json`."""

    version: int
    seed: int
    settings: dict[str, Any]  #: voice, options and format, which must stay the same
    chapters: list[ChapterState]
    sample_rate: int = SAMPLE_RATE
    checkpoint: str = ""  #: the one that speaks, as the server reports it; empty: not known
    speaker: str = ""  #: hash of the voice that speaks where none was given, once it is made
    voices: dict[str, str] = field(default_factory=dict)  #: hashes of the server's voices that speak, by name


def write(folder: Path, state: State) -> None:
    """Write the state in one step."""
    new = folder / f"new-{STATE}"
    with new.open("wb", buffering=0) as file:
        growing.write_all(file, json.dumps(asdict(state), ensure_ascii=False, indent=1).encode())
        os.fsync(file.fileno())
    new.replace(folder / STATE)


def read(folder: Path) -> State:
    """The state of a folder. InvalidRequest if there is none, or none that can be read."""
    try:
        found = json.loads((folder / STATE).read_bytes())
        if found.get("version") != VERSION:
            raise InvalidRequest(f"{folder / STATE} is of another version of bark: resume it with that one")
        return State(**{**found, "chapters": [ChapterState(**chapter) for chapter in found["chapters"]]})
    except FileNotFoundError:
        raise InvalidRequest(f"{folder} holds no book to go on with: leave --resume out") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidRequest(f"{folder / STATE} can't be read ({error}): name another folder") from None


def chapter_states(chapters: Sequence[Chapter]) -> list[ChapterState]:
    """Chapters of which nothing is done."""
    digits = max(2, len(str(len(chapters))))
    return [
        ChapterState(f"{number:0{digits}d}-{_slug(chapter.title)}".rstrip("-"), _hash(chapter))
        for number, chapter in enumerate(chapters, 1)
    ]


def with_words(chapters: Sequence[Chapter]) -> list[Chapter]:
    """The chapters in which there is something to say."""
    return [chapter for chapter in chapters if next(gather(chapter.text), None)]


def _slug(title: str) -> str:
    """The title as a part of a file name."""
    return re.sub(r"\W+", "-", title.lower()).strip("-")[:_MAX_NAME_CHARACTERS].strip("-")


def _hash(chapter: Chapter) -> str:
    passages = [asdict(passage) for passage in gather(chapter.text)]
    return hashlib.sha256(json.dumps(passages).encode()).hexdigest()


def difference(state: State, chapters: Sequence[Chapter], *, seed: int | None, settings: dict[str, Any]) -> str | None:
    """What differs, and the remedy. None if all is the same."""
    expected = chapter_states(chapters)
    if len(expected) != len(state.chapters):
        return f"it has {len(state.chapters)} chapters, and the text now {len(expected)}: give the same text"
    for new, old in zip(expected, state.chapters, strict=True):
        if (new.name, new.sha256) != (old.name, old.sha256):
            return f"the text of chapter {old.name} has changed: give the same text"
    if seed is not None and seed != state.seed:
        return f"its seed is {state.seed}, not {seed}: leave --seed out"
    for name in sorted({*state.settings, *settings}):
        old_value, value = (found.get(name) for found in (state.settings, settings))
        if old_value != value:
            was, now = ("not given" if one is None else one for one in (old_value, value))
            return f"{name} was {was}, and is now {now}: give the same options"
    return None
