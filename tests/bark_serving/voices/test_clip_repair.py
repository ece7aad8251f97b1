"""Repairs of a clip: DC offset, hum and rumble, channels in opposite polarity. Good clips stay as they are."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from bark_serving.spec import Spec
from bark_serving.voices import clip_repair
from bark_serving.voices.clip_quality import speech_level
from bark_serving.voices.cloning import prepare
from tests.speech import CLIP

SPEC = Spec(name="released")
SAMPLES, RATE = soundfile.read(CLIP, dtype="float32")
SECONDS = np.arange(SAMPLES.size) / RATE


def tone(hz: float, *, dbfs: float) -> np.ndarray:
    return (np.sqrt(2) * 10 ** (dbfs / 20) * np.sin(2 * np.pi * hz * SECONDS)).astype(np.float32)


def rms_db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.square(samples.astype(np.float64)).mean()))


def test_a_good_clip_stays_bit_for_bit() -> None:
    mono, warnings = clip_repair.clean(SAMPLES, sample_rate=RATE)
    assert warnings == [] and mono is SAMPLES
    for channels in (SAMPLES[None], np.stack([SAMPLES, SAMPLES]), np.stack([SAMPLES, 0 * SAMPLES])):
        mixed, warnings = clip_repair.mix(channels)
        assert warnings == []
        np.testing.assert_array_equal(mixed, channels.mean(axis=0, dtype=np.float64).astype(np.float32))


@pytest.mark.parametrize("offset", [0.5, -0.3, 0.05, 0.01])
def test_a_dc_offset_is_removed_and_named(offset: float) -> None:
    mono, warnings = clip_repair.clean(SAMPLES + np.float32(offset), sample_rate=RATE)
    assert len(warnings) == 1 and "DC offset (" in warnings[0]
    assert float(warnings[0].partition("(")[2].partition("%")[0]) == pytest.approx(100 * offset, abs=0.11)
    assert abs(float(mono.mean())) < 1e-4
    assert rms_db(mono - SAMPLES) < rms_db(SAMPLES) - 20, "the speech is the same"


@pytest.mark.parametrize("hz", [10.0, 25.0, 50.0, 60.0])
@pytest.mark.parametrize("dbfs", [-10.0, -30.0])
def test_hum_and_rumble_are_filtered_out_and_named(hz: float, dbfs: float) -> None:
    mono, warnings = clip_repair.clean(SAMPLES + tone(hz, dbfs=dbfs), sample_rate=RATE)
    assert len(warnings) == 1 and "hum or rumble below 80 Hz" in warnings[0]
    # The rest of it, and what the filter takes of the speech, are far below the speech.
    assert rms_db(mono - SAMPLES) < rms_db(SAMPLES) - 20


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 192_000])
@pytest.mark.parametrize("hz", [85.0, 120.0, 440.0, 3_000.0])
def test_what_voices_are_made_of_passes_whole(rate: int, hz: float) -> None:
    voice = 0.3 * np.sin(2 * np.pi * hz * np.arange(2 * rate) / rate).astype(np.float32)
    passed = clip_repair.high_pass(voice, sample_rate=rate)
    inside = slice(rate // 4, -rate // 4)
    assert rms_db(passed[inside] - voice[inside]) < rms_db(voice) - 40


def test_an_offset_alone_is_silence_and_so_is_faint_hum() -> None:
    for clip in (np.full(2 * RATE, 0.2, np.float32), tone(50.0, dbfs=-35.0) + np.float32(0.2)):
        prepared = prepare(clip[None], sample_rate=RATE, spec=SPEC)
        assert any("the clip is silent" in warning for warning in prepared.warnings)
        assert any("DC offset" in warning for warning in prepared.warnings)


@pytest.mark.parametrize("gain", [1.0, 0.6])
def test_opposite_polarity_uses_the_loudest_channel_and_says_so(gain: float) -> None:
    channels = np.stack([np.float32(gain) * -SAMPLES, SAMPLES])
    channels += np.random.default_rng(0).normal(scale=1e-4, size=channels.shape).astype(np.float32)
    mixed, warnings = clip_repair.mix(channels)
    assert len(warnings) == 1 and "have opposite polarity" in warnings[0] and " was used" in warnings[0]
    assert any(np.array_equal(mixed, channel) for channel in channels)
    assert speech_level(mixed, sample_rate=RATE) == pytest.approx(speech_level(SAMPLES, sample_rate=RATE), abs=0.1)


def test_an_offset_hides_no_opposite_polarity() -> None:
    _, warnings = clip_repair.mix(np.stack([SAMPLES, -SAMPLES]) + np.float32(0.3))
    assert len(warnings) == 1


def test_two_microphones_of_their_own_are_mixed_as_before() -> None:
    rng = np.random.default_rng(0)
    channels = np.stack([SAMPLES, np.roll(SAMPLES, 40)]) + rng.normal(scale=1e-3, size=(2, SAMPLES.size)).astype("f4")
    assert clip_repair.mix(channels)[1] == []
    assert clip_repair.mix(np.zeros((2, 100), np.float32))[1] == []


def test_the_warnings_reach_whoever_clones() -> None:
    prepared = prepare(np.stack([SAMPLES, -SAMPLES]) + np.float32(0.2), sample_rate=RATE, spec=SPEC)
    assert ["polarity" in prepared.warnings[0], "DC offset" in prepared.warnings[1]] == [True, True]
    assert np.abs(prepared.hubert).max() > 0.05
