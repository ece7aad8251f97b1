"""Speeches joined to one, such as the lines of a dialogue."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bark_client import InvalidRequest, Speech, StageTime, Timings, Voice

RATE = 1_000
VOICE = Voice(np.arange(9), np.ones((2, 5), dtype=np.int32), np.ones((8, 5), dtype=np.int32))


def speech(text: str, level: float, **more: Any) -> Speech:
    """Half a second at one level, with a second sentence after 0.2 s."""
    samples = np.full(RATE // 2, level, dtype=np.float32)
    stages = {"semantic": StageTime(1.0, 2, 30, "tokens"), "fine": StageTime(0.5, 1, 40, "frames")}
    options = {"seed": 7, "sentence_starts": (0.0, 0.2), "timings": Timings(stages, 2.0, 1.0, 0.5), **more}
    return Speech(text=text, samples=samples, sample_rate=RATE, **options)


def test_a_join_has_all_the_parts_and_pauses_between_them() -> None:
    joined = Speech.join([speech("One.", 0.1), speech("Two.", 0.2), speech("Three.", 0.3)], pause=0.1)
    levels = [(0.1, 500), (0, 100), (0.2, 500), (0, 100), (0.3, 500)]
    expected = np.concatenate([np.full(count, level, dtype=np.float32) for level, count in levels])
    np.testing.assert_array_equal(joined.samples, expected)
    assert (joined.text, joined.sample_rate, joined.seconds) == ("One. Two. Three.", RATE, 1.7)
    assert joined.sentence_starts == pytest.approx((0.0, 0.2, 0.6, 0.8, 1.2, 1.4))


def test_plus_joins_without_a_pause() -> None:
    one, two = speech("One.", 0.1), speech("Two.", 0.2)
    np.testing.assert_array_equal((one + two).samples, np.concatenate([one.samples, two.samples]))
    with pytest.raises(TypeError):
        one + "Two."  # type: ignore[operator]


def test_a_join_adds_timings_up_and_keeps_each_warning_once() -> None:
    joined = speech("One.", 0.1, warnings=("a", "b")) + speech("Two.", 0.2, warnings=("b", "c"))
    assert joined.warnings == ("a", "b", "c")
    assert joined.timings == Timings(
        {"semantic": StageTime(2.0, 4, 60, "tokens"), "fine": StageTime(1.0, 2, 80, "frames")}, 4.0, 1.0, 1.0
    )
    assert joined.timings.real_time_factor == 4.0


def test_a_join_has_the_seed_that_all_parts_share_or_none() -> None:
    assert (speech("One.", 0.1) + speech("Two.", 0.2)).seed == 7
    mixed = speech("One.", 0.1) + speech("Two.", 0.2, seed=8)
    assert mixed.seed is None
    assert "seed" not in f"{mixed!r} {mixed.caption}"


def test_a_join_is_no_voice() -> None:
    joined = speech("One.", 0.1, tokens=VOICE) + speech("Two.", 0.2, tokens=VOICE)
    with pytest.raises(InvalidRequest, match="joined from others"):
        joined.as_voice()


@pytest.mark.parametrize("pause", [-0.1, float("nan"), float("inf")])
def test_a_pause_must_be_seconds(pause: float) -> None:
    with pytest.raises(InvalidRequest, match="pause: expected seconds"):
        Speech.join([speech("One.", 0.1)], pause=pause)


def test_nothing_and_different_rates_cannot_be_joined() -> None:
    with pytest.raises(InvalidRequest, match="at least one"):
        Speech.join([])
    other = Speech("Two.", np.zeros(9, dtype=np.float32), 2 * RATE, 7, Timings())
    with pytest.raises(InvalidRequest, match=r"\[1000, 2000\] Hz"):
        Speech.join([speech("One.", 0.1), other])
