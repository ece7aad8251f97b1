"""A rough measure of how different two sounds are to the ear: the distance of their mel spectrograms, in decibels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bark_serving.arrays import Floats

_WINDOW, _HOP, _BANDS = 1024, 256, 80  #: samples, samples, mel bands
_FLOOR_DB = -80.0  #: relative to a full-scale sine; quieter sound counts as this


def mel_spectrogram(samples: Floats, *, rate: int) -> npt.NDArray[np.float64]:
    """[n] samples → [80, frames] decibels; Hann windows of 1 024 samples, a hop of 256."""
    padded = np.pad(np.asarray(samples, np.float64), _WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    window = np.hanning(_WINDOW)
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2 / (window.sum() / 2) ** 2
    bands = power @ _filters(rate).T
    decibels: npt.NDArray[np.float64] = np.maximum(10 * np.log10(np.maximum(bands, 1e-12)), _FLOOR_DB).T
    return decibels


def _filters(rate: int) -> npt.NDArray[np.float64]:
    """[80, bins] triangles of height 1, at equal steps of O'Shaughnessy's mel scale."""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, _BANDS + 2) / 2595) - 1)
    bins = np.linspace(0, rate / 2, _WINDOW // 2 + 1)
    rising = (bins - edges[:-2, None]) / (edges[1:-1, None] - edges[:-2, None])
    falling = (edges[2:, None] - bins) / (edges[2:, None] - edges[1:-1, None])
    triangles: npt.NDArray[np.float64] = np.clip(np.minimum(rising, falling), 0, None)
    return triangles


def distance(one: Floats, other: Floats, *, rate: int) -> float:
    """Mean absolute difference in dB over all bands and over the frames of the shorter sound; 0 for equal sounds.

    Raises `ValueError` if a sound has no samples.
    """
    count = min(len(one), len(other))
    if count == 0:
        raise ValueError("a sound without samples has no distance")
    first, second = (mel_spectrogram(samples[:count], rate=rate) for samples in (one, other))
    return float(np.abs(first - second).mean())
