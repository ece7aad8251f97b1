"""The quality of a clip of speech: its level, and the faults that would make a poor voice.

Levels are in dB relative to full scale (dBFS): the root mean square of blocks of `BLOCK_S`. The *speech level* is the
level of the blocks within `GATE_DB` of the loudest block, so that pauses do not count. This is a simple form of the
active speech level of ITU-T P.56.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from bark_serving.arrays import Array, Floats

BLOCK_S = 0.02
GATE_DB = 30.0  #: blocks this far below the loudest block are pauses
TARGET_LEVEL_DBFS = -23.0  #: speech level after normalisation
MAX_PEAK_DBFS = -1.0  #: peak limit after normalisation
SILENT_DBFS = -60.0  #: a clip below it is silence
QUIET_DBFS = -45.0  #: below it, normalisation amplifies the noise to an audible level
SHORT_S = 3.0  #: a shorter clip gets a warning
LONG_SILENCE_S = 1.0  #: a longer silence at an end gets a warning
NARROW_RATE_HZ = 16_000  #: a lower rate gets a warning
_EQUAL = 1.5 / 2**15  #: samples of 16-bit audio that differ less are equal
_MIN_FLAT_SAMPLES = 3  #: so many equal samples in a row, at the peak, are a flat top
_MAX_CLIPPED_SHARE = 2e-4


def normalise(mono: Floats, *, sample_rate: int) -> Floats:
    """[samples] → the same with its speech at `TARGET_LEVEL_DBFS`, or quieter so that no peak exceeds `MAX_PEAK_DBFS`.

    Silence is not changed.
    """
    level = speech_level(mono, sample_rate=sample_rate)
    if level < SILENT_DBFS:
        return mono
    gain = min(_linear(TARGET_LEVEL_DBFS - level), _linear(MAX_PEAK_DBFS) / float(np.abs(mono).max()))
    return mono * np.float32(gain)


def speech_level(mono: Floats, *, sample_rate: int) -> float:
    """The level of the blocks with speech in dBFS; −inf for digital silence."""
    power = _power(mono, sample_rate=sample_rate)
    gate = power.max() * 10 ** (-GATE_DB / 10)
    return _decibel(float(power[power >= gate].mean()))


def warnings(channels: Floats, mono: Floats, *, sample_rate: int) -> list[str]:
    """What would make a poor voice, in one sentence each. channels: [channels, samples]; mono: their mean [samples]."""
    return list(_warnings(channels, mono, sample_rate=sample_rate))


def _warnings(channels: Floats, mono: Floats, *, sample_rate: int) -> Iterator[str]:
    seconds = len(mono) / sample_rate
    level = speech_level(mono, sample_rate=sample_rate)
    if level < SILENT_DBFS:
        yield f"the clip is silent ({_shown(level)}): the voice will not sound like anybody."
        return
    if seconds < SHORT_S:
        yield f"the clip is short ({seconds:.1f} s): 5 to 12 s of speech give a steadier voice."
    if level < QUIET_DBFS:
        yield f"the clip is very quiet ({_shown(level)}): its noise is amplified along with the voice."
    share = max(clipped_share(channel) for channel in channels)
    if share > _MAX_CLIPPED_SHARE:
        yield f"the clip is clipped ({share:.2%} of its samples): record it again with less gain."
    for where, silence in zip(("begins", "ends"), silence_at_ends(mono, sample_rate=sample_rate), strict=True):
        if silence >= LONG_SILENCE_S:
            yield f"the clip {where} with {silence:.1f} s of silence: trim it, or the voice learns to pause."
    if sample_rate < NARROW_RATE_HZ:
        yield f"the clip has {sample_rate} Hz: the voice will sound like a telephone; 16 kHz and more sound natural."


def clipped_share(channel: Floats) -> float:
    """The share of samples in flat tops: runs of equal samples at the peak, which no voice makes."""
    magnitude = np.abs(channel)
    peak = float(magnitude.max())
    if peak < 0.1:  # too quiet to tell: 16-bit steps alone make flat tops
        return 0.0
    at_peak = np.concatenate(([False], magnitude >= peak - _EQUAL, [False]))
    edges = np.flatnonzero(np.diff(at_peak.astype(np.int8)))
    runs = edges[1::2] - edges[::2]
    return float(runs[runs >= _MIN_FLAT_SAMPLES].sum() / len(channel))


def silence_at_ends(mono: Floats, *, sample_rate: int) -> tuple[float, float]:
    """Seconds before the first and after the last block of speech."""
    power = _power(mono, sample_rate=sample_rate)
    speech = np.flatnonzero(power >= power.max() * 10 ** (-GATE_DB / 10))
    block = _block(sample_rate) / sample_rate
    return float(speech[0] * block), float((len(power) - 1 - speech[-1]) * block)


def _block(sample_rate: int) -> int:
    return max(1, round(BLOCK_S * sample_rate))


def _power(mono: Floats, *, sample_rate: int) -> Array:
    """Mean square of each whole block: [blocks], at least one."""
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
