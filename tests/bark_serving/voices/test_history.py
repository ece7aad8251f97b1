"""The history of a chained piece: the given voice, then what was spoken last."""

from __future__ import annotations

import numpy as np
import pytest

from bark_serving.layouts.coarse import schedule
from bark_serving.spec import Spec
from bark_serving.voices import Voice, voice_from_arrays
from bark_serving.voices.history import continued, history_seconds

SPEC = Spec(name="released")


def voice(seconds: float, code: int) -> Voice:
    frames = round(seconds * SPEC.encodec.frame_rate_hz)
    tokens = round(seconds * SPEC.semantic.rate_hz)
    codes = np.full((SPEC.encodec.codebooks, frames), code, np.int32)
    return Voice(np.full(tokens, code, np.int32), codes[: SPEC.coarse.codebooks], codes)


@pytest.mark.parametrize(("coarse_history", "seconds"), [(630, 630 / 150), (256, 256 / 150)])
def test_a_quarter_of_each_history_was_spoken_last_then_comes_the_voice(coarse_history: int, seconds: float) -> None:
    both = continued(voice(10, 1), voice(10, 2), spec=SPEC, coarse_history=coarse_history)
    assert both is not None
    assert history_seconds(SPEC, coarse_history=coarse_history) == pytest.approx(seconds)
    for array, rate_hz in zip(both.arrays.values(), (SPEC.semantic.rate_hz, 75, 75), strict=True):
        line = array if array.ndim == 1 else array[0]
        said = int((line == 2).sum())
        assert line.tolist() == [2] * said + [1] * (len(line) - said)
        assert said == pytest.approx(seconds / 4 * rate_hz, abs=1)
        assert len(line) == pytest.approx(seconds * rate_hz, abs=2)


@pytest.mark.parametrize(("given_s", "said_s"), [(10, 0.5), (0.5, 10), (0.3, 0.3), (3, 3)])
def test_a_history_is_a_voice_whose_arrays_cover_the_same_time(given_s: float, said_s: float) -> None:
    both = continued(voice(given_s, 1), voice(said_s, 2), spec=SPEC, coarse_history=630)
    assert both is not None
    voice_from_arrays(both.arrays, spec=SPEC)
    plan = schedule(np.arange(100), spec=SPEC, semantic_history=both.semantic, coarse_history=both.coarse)
    assert plan.semantic_history > 0


def test_without_the_one_the_other_is_the_history() -> None:
    given, said = voice(2, 1), voice(2, 2)
    assert continued(given, None, spec=SPEC, coarse_history=630) is given
    assert continued(None, said, spec=SPEC, coarse_history=630) is said
    assert continued(given, voice(0, 2), spec=SPEC, coarse_history=630) is given
    assert continued(None, None, spec=SPEC, coarse_history=630) is None
