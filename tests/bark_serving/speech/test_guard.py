"""What the guard calls a failed take."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bark_serving.spec import GuardSpec
from bark_serving.speech.guard import VERDICTS, Verdict, judge_audio, judge_tokens, loop_share, worse

LIMITS = GuardSpec()
RATE_HZ = 50.0
SAMPLE_RATE = 24_000
RNG = np.random.default_rng(0)


def judged(tokens: object, *, ended: bool = True, expected_s: float = 2.0) -> Verdict:
    return judge_tokens(np.asarray(tokens), ended=ended, expected_s=expected_s, rate_hz=RATE_HZ, limits=LIMITS)


def varied(count: int, *, repeats: float = 0.3) -> np.ndarray:
    """Tokens of which such a share equals the one before."""
    rng = np.random.default_rng(count)
    last_change = np.maximum.accumulate(np.where(rng.random(count) < repeats, 0, np.arange(count)))
    tokens: np.ndarray = rng.integers(0, 10_000, count)[last_change]
    return tokens


@pytest.mark.parametrize(
    ("tokens", "ended", "verdict"),
    [
        (varied(100), True, "good"),
        (varied(100), False, "cut"),
        (varied(5), True, "short"),
        (varied(700), True, "long"),
        (varied(100, repeats=0.0), True, "babble"),
        (np.tile(varied(25), 6), True, "loop"),
        (np.zeros(100, int), True, "loop"),
        ([], True, "empty"),
    ],
)
def test_semantic_tokens_show_what_went_wrong(tokens: np.ndarray, *, ended: bool, verdict: Verdict) -> None:
    assert judged(tokens, ended=ended) == verdict


def test_a_pause_of_one_repeated_token_is_no_loop() -> None:
    assert loop_share(np.concatenate([varied(60), np.zeros(20, int), varied(61)]), max_period=50) < 0.1


@given(st.integers(2, 40), st.integers(3, 8))
def test_a_stretch_said_again_and_again_is_a_loop(period: int, times: int) -> None:
    tokens = np.tile(np.arange(period), times)
    assert loop_share(tokens, max_period=50) == pytest.approx(1 - 1 / times)


@given(st.lists(st.integers(0, 5), max_size=60), st.integers(0, 60))
def test_a_share_of_loops_is_a_share(tokens: list[int], max_period: int) -> None:
    assert 0 <= loop_share(np.array(tokens), max_period=max_period) <= 1


def seconds(count: float) -> np.ndarray:
    return np.arange(int(count * SAMPLE_RATE)) / SAMPLE_RATE


def vowels() -> np.ndarray:
    """Five sounds after one another, with other formants each: as unlike one another as those of speech."""
    time, sounds = seconds(0.2), []
    for formants in ([300, 2300], [700, 1200], [400, 800], [2500, 5000], [500, 3500]):
        sounds.append(sum(np.sin(2 * np.pi * hertz * time) for hertz in formants) * 0.1)
        sounds.append(RNG.normal(size=len(time) // 4) * 0.05)
    return np.concatenate(sounds)


@pytest.mark.parametrize(
    ("audio", "verdict"),
    [
        (vowels(), "good"),
        (np.zeros(SAMPLE_RATE), "silent"),
        (RNG.normal(size=SAMPLE_RATE) * 1e-4, "silent"),
        (np.sin(2 * np.pi * 120 * seconds(2)) * 0.2, "drone"),
        (RNG.normal(size=2 * SAMPLE_RATE) * 0.1, "drone"),
        (np.sign(np.sin(2 * np.pi * 110 * seconds(2))) * (1 + np.sin(2 * np.pi * 3 * seconds(2))) * 0.1, "drone"),
        ([], "empty"),
    ],
)
def test_audio_shows_silence_and_drones(audio: np.ndarray, verdict: Verdict) -> None:
    assert judge_audio(np.asarray(audio, np.float32), sample_rate=SAMPLE_RATE, limits=LIMITS) == verdict


def test_the_worse_of_two_verdicts_wins() -> None:
    assert worse("good", "cut") == worse("cut", "good") == "cut"
    assert all(worse("good", verdict) == verdict for verdict in VERDICTS)
