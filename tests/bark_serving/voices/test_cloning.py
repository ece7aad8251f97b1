"""What the networks are given for a clip, and that their answers fit together for every clip there can be."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bark_client import recording
from bark_serving.errors import InvalidRequest
from bark_serving.spec import EncodecSpec, HubertSpec, Spec
from bark_serving.voices import cloning, limits, voice_from_arrays
from tests.speech import speech

SPEC = Spec(name="released")
RATES = [8_000, 16_000, 22_050, 24_000, 44_100, 48_000]


def tokens_made(samples: int, hubert: HubertSpec) -> int:
    """Semantic tokens that HuBERT's convolutions make, layer by layer."""
    for kernel, stride in zip(hubert.conv_kernel, hubert.conv_stride, strict=True):
        samples = (samples - kernel) // stride + 1
    return samples


@given(rate=st.integers(limits.MIN_CLIP_RATE_HZ, limits.MAX_CLIP_RATE_HZ), share=st.floats(0, 1))
def test_tokens_and_frames_of_any_clip_cover_the_same_time(rate: int, share: float) -> None:
    shortest, longest = (int(seconds * rate) for seconds in (limits.MIN_CLIP_S, limits.MAX_CLIP_S))
    samples = round(shortest + share * (longest - shortest))
    units = -(-samples * 25 // rate)
    tokens = tokens_made(cloning.hubert_samples(units, spec=SPEC), HubertSpec())
    frames, rest = divmod(cloning.encodec_samples(units, spec=SPEC), SPEC.encodec.samples_per_frame)
    assert rest == 0 and frames * 2 == tokens * 3
    assert 0 <= Fraction(frames, 75) - Fraction(samples, rate) < Fraction(1, 25)
    voice_from_arrays(
        {
            "semantic_prompt": np.zeros(tokens, int),
            "coarse_prompt": np.zeros((2, frames), int),
            "fine_prompt": np.zeros((8, frames), int),
        },
        spec=SPEC,
    )


def test_units_follow_the_checkpoint() -> None:
    assert cloning.units_of(SPEC) == cloning.Units(hz=Fraction(25), tokens=2, frames=3)
    other = SPEC.model_copy(
        update={
            "encodec": EncodecSpec(ratios=(8, 5, 5, 2)),
            "hubert": HubertSpec(conv_stride=(5, 2, 2, 2, 2, 2, 1), sample_rate=8_000),
        }
    )
    assert cloning.units_of(other) == cloning.Units(hz=Fraction(10), tokens=5, frames=6)
    assert tokens_made(cloning.hubert_samples(7, spec=other), other.hubert or HubertSpec()) == 35


@pytest.mark.parametrize("rate", [*RATES, 11_025, 96_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_clip_is_the_same_for_the_networks_at_every_rate(rate: int, channels: int) -> None:
    """Resampled back to the lowest rate there is, what each network gets is the clip itself."""
    clip = cloning.prepare(speech(rate=rate, channels=channels), sample_rate=rate, spec=SPEC)
    reference = cloning.prepare(speech(rate=24_000), sample_rate=24_000, spec=SPEC)
    assert clip.seconds == pytest.approx(7.6, abs=0.01)
    assert len(clip.hubert) == len(reference.hubert) and len(clip.encodec) == len(reference.encodec)
    for ours, theirs in ((clip.hubert, reference.hubert), (clip.encodec, reference.encodec)):
        assert ours.dtype == np.float32
        keep = len(ours) if rate > 22_050 else 0  # a lower rate lacks the highest frequencies
        cosine = ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs)
        assert cosine > (0.999 if keep else 0.97)


def test_audio_at_the_networks_own_rates_is_only_scaled_and_padded() -> None:
    audio = speech(rate=24_000, seconds=2.99)
    encodec = cloning.prepare(audio, sample_rate=24_000, spec=SPEC).encodec
    gain = encodec[1000] / audio[0, 1000]
    np.testing.assert_allclose(encodec[: audio.shape[1]], gain * audio[0], atol=1e-6)
    assert len(encodec) == 3 * 24_000 and not encodec[audio.shape[1] :].any()


def test_silence_is_prepared_like_anything_else_with_a_warning() -> None:
    prepared = cloning.prepare(np.zeros((2, 32_000), np.float32), sample_rate=16_000, spec=SPEC)
    assert not prepared.hubert.any() and "silent" in prepared.warnings[0]


def with_sample(value: float) -> np.ndarray:
    audio = speech(rate=16_000)
    audio[0, 5] = value
    return audio


@pytest.mark.parametrize(
    ("audio", "rate", "message"),
    [
        (np.zeros(16_000), 16_000, r"shape \[16000\]; it must be \[channels, samples\]"),
        (np.zeros((0, 16_000)), 16_000, "1 to 8 channels"),
        (np.zeros((16_000, 2)), 16_000, "1 to 8 channels"),
        (
            np.zeros((1, 0)),
            16_000,
            r"0.00 s long \(0 samples\); it must be 1 to 30 s \(16000 to 480000\): record a longer one",
        ),
        (np.zeros((1, 15_999)), 16_000, r"1.00 s long \(15999 samples\); .*16000 to 480000.*: record a longer one"),
        (np.zeros((1, 480_001)), 16_000, r"30.00 s long \(480001 samples\); .*: cut it"),
        (np.zeros((1, 16_000)), 7_999, "sample_rate 7999 is out of range: 8000 to 192000 Hz"),
        (np.zeros((1, 16_000)), 192_001, "out of range"),
        (np.zeros((1, 16_000)), -16_000, "out of range"),
        (with_sample(np.nan), 16_000, "not finite"),
        (with_sample(np.inf), 16_000, "not finite"),
        (with_sample(20_000), 16_000, "a peak of 20000; .* divide integers by 32768"),
    ],
)
def test_what_is_no_clip_is_refused_with_the_limit(audio: np.ndarray, rate: int, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        cloning.prepare(audio.astype(np.float32), sample_rate=rate, spec=SPEC)


def test_a_checkpoint_without_hubert_says_what_it_lacks() -> None:
    with pytest.raises(InvalidRequest, match=r"cannot clone voices.*--hubert"):
        cloning.prepare(speech(rate=16_000), sample_rate=16_000, spec=Spec(name="plain", hubert=None))


def test_the_coarse_prompt_is_the_first_codebooks_of_the_fine_one() -> None:
    codes = np.arange(8 * 30).reshape(8, 30)
    voice = cloning.assemble(np.arange(20), codes, spec=SPEC)
    np.testing.assert_array_equal(voice.coarse, codes[:2])
    np.testing.assert_array_equal(voice.fine, codes)
    with pytest.raises(InvalidRequest, match=r"must be in 0\.\.9999"):
        cloning.assemble(np.full(20, 10_000), codes, spec=SPEC)


def test_client_and_server_have_the_same_limits_of_a_clip() -> None:
    assert (recording.MIN_CLIP_S, recording.MAX_CLIP_S) == (limits.MIN_CLIP_S, limits.MAX_CLIP_S)
    assert (recording.MIN_RATE_HZ, recording.MAX_RATE_HZ) == (limits.MIN_CLIP_RATE_HZ, limits.MAX_CLIP_RATE_HZ)
    assert recording.MAX_PEAK == limits.MAX_CLIP_AMPLITUDE
