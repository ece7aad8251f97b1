"""Speech is faster or slower at the same pitch, and none of it is lost."""

from __future__ import annotations

import numpy as np
import pytest

from bark_gateway.tempo import Tempo
from tests.bark_gateway.decoded import RATE, tone


def stretched(samples: np.ndarray, speed: float, *, size: int = 480) -> np.ndarray:
    tempo = Tempo(speed, sample_rate=RATE)
    parts = [tempo.feed(samples[start : start + size]) for start in range(0, samples.size, size)]
    return np.concatenate([*parts, tempo.end()])


@pytest.mark.parametrize("speed", [0.25, 0.4, 0.5, 0.8, 1.25, 2.0, 3.3, 4.0])
def test_the_length_is_divided_by_the_speed(speed: float) -> None:
    assert stretched(tone(4.0), speed).size / RATE == pytest.approx(4.0 / speed, abs=0.07)


@pytest.mark.parametrize("speed", [0.25, 0.5, 0.8, 1.25, 2.0, 4.0])
def test_the_pitch_stays(speed: float) -> None:
    slower = stretched(tone(4.0), speed)[: RATE // 2]
    assert np.argmax(np.abs(np.fft.rfft(slower, n=RATE))) == pytest.approx(220, abs=2)


def test_at_speed_1_samples_stay_what_they_are() -> None:
    speech = tone(0.5)
    assert np.array_equal(stretched(speech, 1.0), speech)


@pytest.mark.parametrize("speed", [0.25, 0.8, 1.25, 4.0])
def test_the_first_audio_comes_after_at_most_120_ms(speed: float) -> None:
    tempo = Tempo(speed, sample_rate=RATE)
    ready = [tempo.feed(tone(0.02)).size for _ in range(6)]
    assert any(ready)


def test_no_speech_becomes_no_speech() -> None:
    assert Tempo(2.0, sample_rate=RATE).end().size == 0
