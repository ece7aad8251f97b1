"""Cloning: a clip of speech → the inputs of HuBERT and the codec → the three arrays of a voice.

Bark's own code requires that the semantic tokens and the frames of a voice cover the same time. Each network divides
audio into slots (20 ms and 13⅓ ms for the released ones). A *unit* is the shortest time in which both make
whole slots (40 ms). A clip is padded to whole units, so the ratio between the arrays is exact for every length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import soxr

from bark_serving.arrays import Array, Floats
from bark_serving.errors import InvalidRequest
from bark_serving.spec import HubertSpec, Spec
from bark_serving.voices import ARRAYS, Voice, clip_quality, clip_repair, voice_from_arrays
from bark_serving.voices.limits import (
    MAX_CLIP_AMPLITUDE,
    MAX_CLIP_CHANNELS,
    MAX_CLIP_RATE_HZ,
    MAX_CLIP_S,
    MIN_CLIP_RATE_HZ,
    MIN_CLIP_S,
)


@dataclass(frozen=True)
class Units:
    """The unit of time in which both networks make whole slots."""

    hz: Fraction
    tokens: int  #: semantic tokens of HuBERT per unit
    frames: int  #: frames of the codec per unit


@dataclass(frozen=True)
class Prepared:
    """A clip as the two networks take it: mono, at their rates, normalised, padded with silence.

    hubert: [samples] at HuBERT's rate; encodec: [samples] at the codec's. seconds: of the clip itself.
    """

    hubert: Floats
    encodec: Floats
    seconds: float
    warnings: list[str]


def prepare(audio: Array, *, sample_rate: int, spec: Spec) -> Prepared:
    """[channels, samples] float audio in −1..1 at any rate → what the networks take. Raises `InvalidRequest`."""
    hubert = hubert_of(spec)
    channels = _checked(audio, sample_rate=sample_rate)
    seconds = channels.shape[1] / sample_rate
    mixed, of_channels = clip_repair.mix(channels)
    mono, of_noise = clip_repair.clean(mixed, sample_rate=sample_rate)
    warnings = [*of_channels, *of_noise, *clip_quality.warnings(channels, mono, sample_rate=sample_rate)]
    mono = clip_quality.normalise(mono, sample_rate=sample_rate)
    units = math.ceil(Fraction(channels.shape[1], sample_rate) * units_of(spec).hz)
    return Prepared(
        hubert=_padded(_resampled(mono, sample_rate, hubert.sample_rate), hubert_samples(units, spec=spec)),
        encodec=_padded(_resampled(mono, sample_rate, spec.encodec.sample_rate), encodec_samples(units, spec=spec)),
        seconds=seconds,
        warnings=warnings,
    )


def assemble(tokens: Array, codes: Array, *, spec: Spec) -> Voice:
    """HuBERT's tokens [n] and the codec's codes [codebooks, frames] → a voice. Raises `InvalidRequest`.

    The coarse prompt is the first codebooks of the fine prompt, as in Suno's own voices.
    """
    arrays = (tokens, codes[: spec.coarse.codebooks], codes)
    return voice_from_arrays(dict(zip(ARRAYS, arrays, strict=True)), spec=spec)


def hubert_of(spec: Spec) -> HubertSpec:
    """HuBERT's numbers. Raises `InvalidRequest` when the checkpoint has no HuBERT."""
    if spec.hubert is None:
        raise InvalidRequest(
            f"this server cannot clone voices: its checkpoint {spec.name} was imported without HuBERT; import it "
            "again with `bark-build import … --hubert … --hubert-head …`."
        )
    return spec.hubert


def units_of(spec: Spec) -> Units:
    """The unit of a checkpoint's two networks."""
    tokens = Fraction(hubert_of(spec).sample_rate, _hop(hubert_of(spec)))
    frames = Fraction(spec.encodec.sample_rate, spec.encodec.samples_per_frame)
    shared = Fraction(
        math.gcd(tokens.numerator * frames.denominator, frames.numerator * tokens.denominator),
        tokens.denominator * frames.denominator,
    )
    return Units(hz=shared, tokens=int(tokens / shared), frames=int(frames / shared))


def hubert_samples(units: int, *, spec: Spec) -> int:
    """Samples that give exactly the tokens of ``units``. The last token needs its whole receptive field."""
    return (units * units_of(spec).tokens - 1) * _hop(hubert_of(spec)) + shortest_wave(spec)


def shortest_wave(spec: Spec) -> int:
    """Samples that HuBERT's convolutions need for one token (400 with the released ones)."""
    hubert, samples = hubert_of(spec), 1
    for kernel, stride in zip(reversed(hubert.conv_kernel), reversed(hubert.conv_stride), strict=True):
        samples = (samples - 1) * stride + kernel
    return samples


def encodec_samples(units: int, *, spec: Spec) -> int:
    """Samples that give exactly the frames of ``units``."""
    return units * units_of(spec).frames * spec.encodec.samples_per_frame


def _hop(hubert: HubertSpec) -> int:
    return math.prod(hubert.conv_stride)


def _checked(audio: Array, *, sample_rate: int) -> Floats:
    """The audio as float32 [channels, samples]. Raises `InvalidRequest` for what cannot be a clip of speech."""
    if audio.ndim != 2 or not 1 <= audio.shape[0] <= MAX_CLIP_CHANNELS:
        raise InvalidRequest(
            f"audio has shape {list(audio.shape)}; it must be [channels, samples], 1 to {MAX_CLIP_CHANNELS} channels."
        )
    if not MIN_CLIP_RATE_HZ <= sample_rate <= MAX_CLIP_RATE_HZ:
        raise InvalidRequest(f"sample_rate {sample_rate} is out of range: {MIN_CLIP_RATE_HZ} to {MAX_CLIP_RATE_HZ} Hz.")
    count, shortest, longest = audio.shape[1], math.ceil(MIN_CLIP_S * sample_rate), int(MAX_CLIP_S * sample_rate)
    if not shortest <= count <= longest:
        remedy = "record a longer one" if count < shortest else "cut it"
        raise InvalidRequest(
            f"the clip is {count / sample_rate:.2f} s long ({count} samples); it must be {MIN_CLIP_S:g} to "
            f"{MAX_CLIP_S:g} s ({shortest} to {longest}): {remedy}."
        )
    samples = audio.astype(np.float32)
    if not np.isfinite(samples).all():
        raise InvalidRequest("audio holds samples that are not finite numbers; all must be in -1..1.")
    peak = float(np.abs(samples).max())
    if peak > MAX_CLIP_AMPLITUDE:
        raise InvalidRequest(
            f"audio has a peak of {peak:g}; full scale is 1, and a clip has at most {MAX_CLIP_AMPLITUDE:g}: divide "
            "integers by 32768."
        )
    return samples


def _resampled(mono: Floats, rate: int, target: int) -> Floats:
    return mono if rate == target else soxr.resample(mono, rate, target, quality="HQ").astype(np.float32)


def _padded(mono: Floats, samples: int) -> Floats:
    """Exactly ``samples`` of them: adds silence at the end, or cuts the resampler's last sample."""
    return np.pad(mono[:samples], (0, max(0, samples - len(mono))))
