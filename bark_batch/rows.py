"""Rows of a job: what a table says about one speech, checked."""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bark_client.tags import voices_in

MAX_CHARACTERS: Final = 20_000  #: of one text; the client speaks a longer one in several requests
_MAX_SEED: Final = 2**64 - 1
_SEED_BYTES: Final = 4


@dataclass(frozen=True)
class Columns:
    """Names of the columns of a table. None: the column of the usual name, if the table has it."""

    text: str = "text"
    voice: str | None = None
    seed: str | None = None
    id: str | None = None

    @property
    def required(self) -> list[str]:
        """The columns that the table must have."""
        return [name for name in (self.text, self.voice, self.seed, self.id) if name is not None]

    @property
    def read(self) -> list[str]:
        """The columns that are read if the table has them."""
        return [self.text, self.voice or "voice", self.seed or "seed", self.id or "id"]


@dataclass(frozen=True)
class Row:
    """One speech to make. A row with an error is not spoken."""

    id: str
    text: str
    voice: str | None = None
    seed: int | None = None
    error: str | None = None  #: one sentence
    number: int = 0  #: in all of the input, from 0 on


def row_of(values: Mapping[str, Any], *, number: int, columns: Columns, voice: str | None, seed: int) -> Row:
    """Check the values of a row. What is wrong with them becomes `Row.error`.

    number: of the row in all of the input, from 0 on; it is the id of a row without one.
    voice: of a row without one. seed: of the job; it and the id give the seed of a row without one.
    """
    text, own_voice, own_seed, own_id = (_plain(values.get(name)) for name in columns.read)
    row_id = str(number) if own_id is None else str(own_id)
    spoken_by = voice if own_voice is None else str(own_voice)
    words = "" if text is None else str(text)
    try:
        for name, value in (("text", text), ("voice", own_voice), ("id", own_id)):
            if isinstance(value, list | dict | bytes):
                raise ValueError(f"{name}: expected a string, not {type(value).__name__}")
        chosen = seed_of(row_id, job_seed=seed) if own_seed is None else _whole(own_seed)
        return Row(row_id, words, spoken_by, chosen, _problem(words), number)
    except ValueError as error:
        return Row(row_id, words, spoken_by, None, str(error), number)


def noting_voices(rows: Iterable[Row], names: set[str]) -> Iterator[Row]:
    """The same rows. While they pass, `names` gets the voices of those that are spoken, and of tags in their texts."""
    for row in rows:
        if row.error is None:
            names.update(voices_in(row.text), [row.voice] if row.voice else [])
        yield row


class Repeats:
    """Counts ids that an earlier row has, too, of rows that are spoken. A row takes 8 bytes of memory."""

    def __init__(self) -> None:
        self._hashes = array("q")

    def seen(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The same rows, counted while they pass."""
        for row in rows:
            if row.error is None:
                self._hashes.append(hash(row.id))
            yield row

    def warning(self) -> str:
        """What is told of them; empty if there is none."""
        count = len(self._hashes) - np.unique(np.frombuffer(self._hashes, np.int64)).size if self._hashes else 0
        if not count:
            return ""
        repeat = "row repeats" if count == 1 else "rows repeat"
        return f"{count} {repeat} an earlier id. All are spoken; those without a seed in the table get the same seed."


def broken_row(problem: str, *, number: int) -> Row:
    """A row that cannot be read."""
    return Row(str(number), "", error=problem, number=number)


def seed_of(row_id: str, *, job_seed: int) -> int:
    """A seed that depends on the id and on the job's seed only: 32 bits of BLAKE2b."""
    digest = hashlib.blake2b(f"{job_seed}:{row_id}".encode("utf-8", "surrogatepass"), digest_size=_SEED_BYTES)
    return int.from_bytes(digest.digest(), "little")


def _plain(value: Any) -> Any:
    """None for what stands for "nothing" in tables: null, NaN, an empty or blank cell."""
    if isinstance(value, float) and math.isnan(value):
        return None
    return None if isinstance(value, str) and not value.strip() else value


def _whole(value: Any) -> int:
    try:
        number = int(value) if isinstance(value, str) or int(value) == value else None
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or isinstance(value, bool) or not 0 <= number <= _MAX_SEED:
        raise ValueError(f"seed: expected a whole number from 0 to 2**64 - 1, not {value!r}")
    return number


def _problem(text: str) -> str | None:
    if not any(map(str.isalnum, text)):
        return "text: it has no word to speak"
    if len(text) > MAX_CHARACTERS:
        return f"text: it has {len(text)} characters, and a row may have {MAX_CHARACTERS}: split it into rows"
    return None
