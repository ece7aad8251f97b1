"""Repairs a clip before it is levelled: low noise is filtered out, and channels that cancel each other are told apart.

A clip without these faults comes out bit for bit as it went in, mixed to mono.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from bark_serving.arrays import Array, Floats

#: The high-pass: nothing passes below the first frequency, all above the second. Hum is at 50 or 60 Hz, and the voices
#: of adults begin at about 80 Hz (Baken and Orlikoff, "Clinical Measurement of Speech and Voice", 2000).
STOP_HZ, PASS_HZ = 60.0, 80.0
LOW_NOISE_DB = 25.0  #: noise below the high-pass that is less far below the speech than this is filtered out
MIN_OFFSET = 0.002  #: of full scale; a smaller mean of the samples is no fault
MIN_CORRELATION = -0.5  #: two channels with a lower correlation are one microphone in opposite polarity
_EDGE_S = 0.25  #: the clip is continued by so much at both ends while it is filtered


def mix(channels: Floats) -> tuple[Floats, list[str]]:
    """[channels, samples] → their mean [samples], or one of them if two would cancel each other; and warnings."""
    loudest, opposite = _opposite(channels)
    if opposite is None:
        return channels.mean(axis=0, dtype=np.float64).astype(np.float32), []
    return channels[loudest], [
        f"channels {loudest + 1} and {opposite + 1} have opposite polarity and would cancel each other: only channel "
        f"{loudest + 1} was used."
    ]


def _opposite(channels: Floats) -> tuple[int, int | None]:
    """The loudest channel, and the one that is most opposite to it, if there is one."""
    centred = channels.astype(np.float64)
    centred -= centred.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1)
    loudest = int(norms.argmax())
    if norms[loudest] == 0:
        return loudest, None
    products = centred @ centred[loudest] / (np.maximum(norms, 1e-12) * norms[loudest])
    other = int(products.argmin())
    return loudest, other if products[other] < MIN_CORRELATION else None


def clean(mono: Floats, *, sample_rate: int) -> tuple[Floats, list[str]]:
    """[samples] → the same without a DC offset, hum and rumble if it has any; and warnings that say so."""
    offset = float(mono.mean(dtype=np.float64))
    high = high_pass(mono, sample_rate=sample_rate)
    low = mono.astype(np.float64) - offset - high
    warnings = list(_low_warnings(offset, low, high))
    return (high.astype(np.float32) if warnings else mono), warnings


def _low_warnings(offset: float, low: Array, high: Array) -> Iterator[str]:
    speech, noise = (float(np.sqrt(np.square(part).mean())) for part in (high, low))
    if abs(offset) > max(MIN_OFFSET, speech * 10 ** (-LOW_NOISE_DB / 20)):
        yield f"the clip has a DC offset ({offset:+.1%} of full scale): it was removed."
    if noise > speech * 10 ** (-LOW_NOISE_DB / 20) and noise > MIN_OFFSET / 2:
        yield (
            f"the clip has hum or rumble below {PASS_HZ:g} Hz ({20 * math.log10(noise):.0f} dBFS): it was filtered out."
        )


def high_pass(mono: Floats, *, sample_rate: int) -> Array:
    """The part of [samples] above `STOP_HZ` to `PASS_HZ`, float64, in phase.

    The Fourier transform of the whole clip is weighted by a raised cosine: Rabiner and Gold, "Theory and Application of
    Digital Signal Processing" (1975), 3.17. The clip is mirrored at its ends, so that they do not ring.
    """
    edge = min(len(mono) - 1, round(_EDGE_S * sample_rate))
    signal = mono.astype(np.float64)
    extended = np.pad(signal - signal.mean(), edge, mode="reflect", reflect_type="odd")
    length = 1 << (len(extended) - 1).bit_length()  # a power of two is fast, a large prime is not
    spectrum = np.fft.rfft(extended, length)
    hertz = np.fft.rfftfreq(length, 1 / sample_rate)
    share = np.clip((hertz - STOP_HZ) / (PASS_HZ - STOP_HZ), 0, 1)
    filtered: Array = np.fft.irfft(spectrum * (1 - np.cos(np.pi * share)) / 2, length)
    return filtered[edge : edge + len(mono)]
