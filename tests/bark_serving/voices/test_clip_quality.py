"""A clip's level, and each warning: given for what deserves it, and not for good speech."""

from __future__ import annotations

import numpy as np
import pytest

from bark_serving.arrays import Floats
from bark_serving.voices import clip_quality
from tests.speech import speech

RATE = 24_000


def warnings(audio: Floats, *, rate: int = RATE) -> list[str]:
    return clip_quality.warnings(audio, audio.mean(axis=0), sample_rate=rate)


def silence(seconds: float, *, channels: int = 1) -> Floats:
    return np.zeros((channels, round(seconds * RATE)), np.float32)


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, 192_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_good_speech_has_no_warnings(rate: int, channels: int) -> None:
    assert warnings(speech(rate=rate, channels=channels), rate=rate) == []


@pytest.mark.parametrize("gain", [0.02, 0.3, 1.0])
def test_speech_is_brought_to_one_level_whatever_its_gain(gain: float) -> None:
    mono = speech(rate=RATE)[0] * np.float32(gain)
    normal = clip_quality.normalise(mono, sample_rate=RATE)
    level = clip_quality.speech_level(normal, sample_rate=RATE)
    assert level == pytest.approx(clip_quality.TARGET_LEVEL_DBFS, abs=0.01)
    assert normal.dtype == np.float32


def test_pauses_do_not_count_towards_the_level() -> None:
    mono = speech(rate=RATE)[0]
    padded = np.concatenate([mono, silence(10)[0]])
    assert clip_quality.speech_level(padded, sample_rate=RATE) == pytest.approx(
        clip_quality.speech_level(mono, sample_rate=RATE), abs=0.1
    )


def test_normalising_never_clips() -> None:
    mono = speech(rate=RATE)[0] * np.float32(0.1)
    mono[1000] = 0.9
    assert (
        np.abs(clip_quality.normalise(mono, sample_rate=RATE)).max() <= 10 ** (clip_quality.MAX_PEAK_DBFS / 20) + 1e-6
    )


def test_silence_stays_silent() -> None:
    np.testing.assert_array_equal(clip_quality.normalise(silence(2)[0], sample_rate=RATE), silence(2)[0])
    faint = 1e-4 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    np.testing.assert_array_equal(clip_quality.normalise(faint, sample_rate=RATE), faint)


@pytest.mark.parametrize(
    ("audio", "expected"),
    [
        (speech(rate=RATE, seconds=2), ["the clip is short (2.0 s)"]),
        (silence(5), ["the clip is silent (all samples are zero)"]),
        (1e-4 * speech(rate=RATE), ["the clip is silent (-100 dBFS)"]),
        (0.02 * speech(rate=RATE), ["the clip is very quiet (-5"]),
        (np.clip(4 * speech(rate=RATE), -1, 1), ["the clip is clipped ("]),
        (0.5 * np.clip(4 * speech(rate=RATE), -1, 1), ["the clip is clipped ("]),
        (np.hstack([silence(2), speech(rate=RATE)]), ["the clip begins with 2.0"]),
        (np.hstack([speech(rate=RATE), silence(3)]), ["the clip ends with 3."]),
        (np.hstack([silence(1.5), speech(rate=RATE, seconds=1), silence(2)]), ["the clip begins", "the clip ends"]),
    ],
)
def test_each_fault_has_its_warning_and_no_other(audio: Floats, expected: list[str]) -> None:
    found = warnings(audio.astype(np.float32))
    assert len(found) == len(expected), found
    assert all(text.startswith(start) for text, start in zip(found, expected, strict=True)), found


def test_a_clip_that_is_clipped_in_one_channel_is_clipped() -> None:
    mono = speech(rate=RATE)[0]
    assert warnings(np.stack([mono, np.clip(4 * mono, -1, 1)]))[0].startswith("the clip is clipped")


@pytest.mark.parametrize("frequency", [100, 220, 1_000])
def test_a_pure_tone_is_not_clipped(frequency: int) -> None:
    tone = np.sin(2 * np.pi * frequency * np.arange(5 * RATE) / RATE).astype(np.float32)
    assert not [text for text in warnings(0.3 * tone[None]) if "clipped" in text]
    assert clip_quality.clipped_share(np.clip(tone, -0.5, 0.5)) > 0.5


def test_telephone_quality_is_named() -> None:
    [found] = warnings(speech(rate=8_000), rate=8_000)
    assert "8000 Hz" in found
