"""What a clip of speech is like: its level, and what about it would make a poor voice.

Levels are in dB relative to full scale (dBFS), as the root mean square of blocks of `BLOCK` seconds. The *speech
level* is that of the blocks within `GATE` dB of the loudest one, so that pauses do not count: a simple form of the
active speech level of ITU-T P.56.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from bark_serving.arrays import Array, Floats

MIN_SECONDS, MAX_SECONDS = 1.0, 30.0  #: of a clip that a voice is made from
BLOCK = 0.02  #: seconds
GATE = 30.0  #: dB below the loudest block; quieter ones are pauses
TARGET_LEVEL = -23.0  #: dBFS that the speech of every clip is brought to
MAX_PEAK = -1.0  #: dBFS that no sample may exceed by it
SILENT = -60.0  #: dBFS; a clip below it is silence
QUIET = -45.0  #: dBFS; bringing such a clip to the target brings its noise along
SHORT_SECONDS = 3.0
SILENCE_SECONDS = 1.0  #: at an end
NARROW_RATE = 16_000  #: Hz
_STEP = 1.5 / 2**15  #: samples closer than that are equal: 16-bit audio, rounded
_FLAT_RUN = 3  #: equal samples at the peak in a row that make a flat top
_CLIPPED_SHARE = 2e-4


def normalise(mono: Floats, *, sample_rate: int) -> Floats:
    """[samples] → the same with its speech at `TARGET_LEVEL`, or quieter where a peak would exceed `MAX_PEAK`.

    Silence stays what it is.
    """
    level = speech_level(mono, sample_rate=sample_rate)
    if level < SILENT:
        return mono
    gain = min(_linear(TARGET_LEVEL - level), _linear(MAX_PEAK) / float(np.abs(mono).max()))
    return mono * np.float32(gain)


def speech_level(mono: Floats, *, sample_rate: int) -> float:
    """dBFS of the blocks that hold speech; −inf for digital silence."""
    power = _power(mono, sample_rate=sample_rate)
    gate = power.max() * 10 ** (-GATE / 10)
    return _decibel(float(power[power >= gate].mean()))


def warnings(channels: Floats, mono: Floats, *, sample_rate: int) -> list[str]:
    """What would make a poor voice of a clip, a sentence each. channels: [channels, samples]; mono: their mean."""
    return list(_warnings(channels, mono, sample_rate=sample_rate))


def _warnings(channels: Floats, mono: Floats, *, sample_rate: int) -> Iterator[str]:
    seconds = len(mono) / sample_rate
    level = speech_level(mono, sample_rate=sample_rate)
    if level < SILENT:
        yield f"the clip is silent ({_shown(level)}): the voice will not sound like anybody."
        return
    if seconds < SHORT_SECONDS:
        yield f"the clip is short ({seconds:.1f} s): 5 to 12 s of speech give a steadier voice."
    if level < QUIET:
        yield f"the clip is very quiet ({_shown(level)}): its noise is amplified along with the voice."
    share = max(clipped_share(channel) for channel in channels)
    if share > _CLIPPED_SHARE:
        yield f"the clip is clipped ({share:.2%} of its samples): record it again with less gain."
    for where, silence in zip(("begins", "ends"), silence_at_ends(mono, sample_rate=sample_rate), strict=True):
        if silence >= SILENCE_SECONDS:
            yield f"the clip {where} with {silence:.1f} s of silence: trim it, or the voice learns to pause."
    if sample_rate < NARROW_RATE:
        yield f"the clip has {sample_rate} Hz: the voice will sound like a telephone; 16 kHz and more sound natural."


def clipped_share(channel: Floats) -> float:
    """Share of the samples that lie in flat tops: runs at the channel's own peak, which no voice makes."""
    magnitude = np.abs(channel)
    peak = float(magnitude.max())
    if peak < 0.1:  # so quiet that steps of 16 bits make tops flat
        return 0.0
    at_peak = np.concatenate(([False], magnitude >= peak - _STEP, [False]))
    edges = np.flatnonzero(np.diff(at_peak.astype(np.int8)))
    runs = edges[1::2] - edges[::2]
    return float(runs[runs >= _FLAT_RUN].sum() / len(channel))


def silence_at_ends(mono: Floats, *, sample_rate: int) -> tuple[float, float]:
    """Seconds before the first and after the last block of speech."""
    power = _power(mono, sample_rate=sample_rate)
    speech = np.flatnonzero(power >= power.max() * 10 ** (-GATE / 10))
    block = _block(sample_rate) / sample_rate
    return float(speech[0] * block), float((len(power) - 1 - speech[-1]) * block)


def _block(sample_rate: int) -> int:
    return max(1, round(BLOCK * sample_rate))


def _power(mono: Floats, *, sample_rate: int) -> Array:
    """Mean square of each whole block: [blocks], one at least."""
    block = _block(sample_rate)
    whole = mono[: max(1, len(mono) // block) * block].astype(np.float64)
    power: Array = np.square(whole).reshape(-1, min(block, len(whole))).mean(axis=1)
    return power


def _linear(decibel: float) -> float:
    return float(10 ** (decibel / 20))


def _decibel(power: float) -> float:
    return 10 * math.log10(power) if power > 0 else -math.inf


def _shown(level: float) -> str:
    return f"{level:.0f} dBFS" if math.isfinite(level) else "all samples are zero"
