"""Silence, and fades at the ends of pieces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bark_serving.arrays import Floats
from bark_serving.speech.silence import FADE_S, Seams, silence

RATE = 24_000
FADE = round(FADE_S * RATE)
QUIET_DBFS = -40.0  #: of a step between two samples where pieces meet


def loud(samples: int) -> Floats:
    """A tone of full level that neither begins nor ends at zero."""
    return np.cos(np.arange(samples) * 2 * np.pi * 200 / RATE).astype(np.float32)


def fed(audio: Floats, cuts: list[int], *, begin: bool, end: bool) -> list[Floats]:
    """What comes out for a piece that arrives in parts."""
    seams = Seams(rate=RATE, begin=begin, end=end)
    parts = np.split(audio, cuts)
    return [seams.feed(part, last=index == len(parts) - 1) for index, part in enumerate(parts)]


def step_dbfs(left: Floats, right: Floats) -> float:
    return float(20 * np.log10(abs(float(right[0]) - float(left[-1])) + 1e-12))


@pytest.mark.parametrize("seconds", [0.0, 0.5, 10.0])
def test_silence_is_as_long_as_asked_for(seconds: float) -> None:
    quiet = silence(seconds, rate=RATE)
    assert len(quiet) == seconds * RATE and quiet.dtype == np.float32 and not quiet.any()


def test_a_piece_that_meets_nothing_stays_as_it_is() -> None:
    audio = loud(1_000)
    np.testing.assert_array_equal(np.concatenate(fed(audio, [300], begin=False, end=False)), audio)


def test_two_pieces_meet_without_a_step() -> None:
    (left,), (right,) = fed(loud(4_000), [], begin=False, end=True), fed(loud(4_000), [], begin=True, end=False)
    assert step_dbfs(loud(4_000), silence(0.1, rate=RATE)) > QUIET_DBFS
    assert step_dbfs(left, right) < QUIET_DBFS
    assert step_dbfs(left, silence(0.1, rate=RATE)) < QUIET_DBFS
    assert step_dbfs(silence(0.1, rate=RATE), right) < QUIET_DBFS


def test_only_the_ends_of_a_piece_are_faded() -> None:
    audio = loud(4_000)
    (faded,) = fed(audio, [], begin=True, end=True)
    np.testing.assert_array_equal(faded[FADE:-FADE], audio[FADE:-FADE])
    assert np.all(np.abs(faded) <= np.abs(audio)) and len(faded) == len(audio)


@given(st.lists(st.integers(0, 900), max_size=8).map(sorted), st.integers(0, 900), st.booleans(), st.booleans())
def test_the_parts_of_a_piece_are_faded_as_the_whole(cuts: list[int], size: int, begin: bool, end: bool) -> None:
    (whole,) = fed(loud(size), [], begin=begin, end=end)
    np.testing.assert_array_equal(np.concatenate(fed(loud(size), cuts, begin=begin, end=end)), whole)
    assert len(whole) == size


def test_no_more_than_a_fade_is_held_back() -> None:
    first, _ = fed(loud(3_000), [2_000], begin=True, end=True)
    assert len(first) == 2_000 - FADE
