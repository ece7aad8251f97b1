"""Semantic tokens, 50 per second: which part of which phone sounds.

The teacher computes how long each phone lasts before it speaks. So the tokens of a recording are exact, and every text
has tokens, spoken or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bark_serving.arrays import Floats, Ids
from build_engines.miniature.recipe import GRID_HZ, UNITS_PER_CELL, Recipe

STRESS = "ˈˌ"  #: marks that belong to the phone after them
MODIFIERS = "ː̩ʲ"  #: marks that belong to the phone before them: long, syllabic, palatalised
SILENCE = "."
PAUSES = ".,?!;: "
TAIL_S = 0.1  #: of the pause after the last sound, this much stays


@dataclass(frozen=True)
class Phone:
    """A phone in IPA, with its stress and length, or a pause: a sign of punctuation, or the blank between two words."""

    symbol: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Speech:
    """What the teacher said: audio f32 [n], and the phones with their times in it."""

    audio: Floats
    phones: Sequence[Phone]


def joined(symbols: Sequence[str], durations: Sequence[float], *, start_s: float) -> list[Phone]:
    """Phones from the teacher's symbols and their durations in seconds: each mark becomes part of its phone."""
    phones: list[Phone] = []
    stress, begin, end = "", start_s, start_s
    for symbol, duration in zip(symbols, durations, strict=True):
        end += duration
        if symbol in STRESS:
            stress = symbol
        elif symbol in MODIFIERS and phones:
            phones[-1] = Phone(phones[-1].symbol + symbol, phones[-1].start_s, end)
            begin = end
        else:
            phones.append(Phone(stress + symbol, begin, end))
            stress, begin = "", end
    return phones


def end_of_speech(phones: Sequence[Phone]) -> float:
    """Where a recording is cut, in seconds: `TAIL_S` after its last sound."""
    sounds = [phone for phone in phones if phone.symbol not in PAUSES]
    return min(phones[-1].end_s, (sounds[-1] if sounds else phones[-1]).end_s + TAIL_S)


def tokens_of(phones: Sequence[Phone], count: int, *, recipe: Recipe) -> Ids:
    """Semantic tokens i32 [count] of phones: those that sound in the middle of each 20 ms. After the end: the last."""
    starts, ends = (np.array(times) for times in zip(*((phone.start_s, phone.end_s) for phone in phones), strict=True))
    symbols = np.array([_index(phone.symbol, recipe.phones) for phone in phones])
    middles = (np.arange(count) + 0.5) / (UNITS_PER_CELL * GRID_HZ)
    at = np.clip(np.searchsorted(starts, middles, side="right") - 1, 0, len(phones) - 1)
    passed = (middles - starts[at]) / np.maximum(1e-6, ends[at] - starts[at])
    part = np.clip(np.floor(recipe.phone_parts * passed), 0, recipe.phone_parts - 1)
    ids: Ids = (recipe.phone_parts * symbols[at] + part).astype(np.int32)
    return ids


def _index(symbol: str, known: Sequence[str]) -> int:
    """The number of a phone. One that is not known counts as the same phone without stress, with it, or short."""
    plain = symbol.strip(STRESS + MODIFIERS)
    for candidate in (symbol, symbol.strip(STRESS), symbol.rstrip(MODIFIERS), plain, STRESS[0] + plain):
        if candidate in known:
            return known.index(candidate)
    return known.index("," if symbol in ";:" else SILENCE)
