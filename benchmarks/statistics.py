"""The arithmetic behind every figure: medians, quartiles, ratios with their noise, straight lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_RESAMPLES = 2_000
_BAND = (2.5, 97.5)  #: percentiles of the resampled ratios
MIN_BOOTSTRAP_SAMPLES = 5  #: on each side; with fewer, the bootstrap's band means little


@dataclass(frozen=True)
class Quartiles:
    """The median, and the range of the middle half of the samples."""

    low: float
    median: float
    high: float


def quartiles(samples: Sequence[float]) -> Quartiles:
    """First quartile, median, third quartile (linear interpolation). Raises `ValueError` for no samples."""
    if not samples:
        raise ValueError("no samples")
    low, median, high = np.percentile(np.asarray(samples, float), (25, 50, 75))
    return Quartiles(float(low), float(median), float(high))


@dataclass(frozen=True)
class Ratio:
    """new / base of two medians, and its noise band."""

    value: float
    low: float
    high: float
    known: bool  #: whether the noise is known: it takes at least two samples on each side

    @property
    def is_noise(self) -> bool:
        """Whether the band contains 1: the samples show no difference."""
        return self.known and self.low <= 1 <= self.high


def ratio(base: Sequence[float], new: Sequence[float]) -> Ratio:
    """Ratio of medians, new / base, with its noise band.

    The band is the bootstrap's 95 % interval (Efron 1979). It is seeded, so that the same samples give the same band.
    With fewer than `MIN_BOOTSTRAP_SAMPLES` on a side, it is the range of the ratios of single samples. With one sample
    on a side the noise is unknown, and the band is the ratio itself.
    """
    value = _divide(float(np.median(new)), float(np.median(base)))
    fewest = min(len(base), len(new))
    if fewest < 2:
        return Ratio(value, value, value, known=False)
    if fewest < MIN_BOOTSTRAP_SAMPLES:
        return Ratio(value, _divide(min(new), max(base)), _divide(max(new), min(base)), known=True)
    rng = np.random.default_rng(0)
    below = np.median(rng.choice(np.asarray(base, float), (_RESAMPLES, len(base))), axis=1)
    above = np.median(rng.choice(np.asarray(new, float), (_RESAMPLES, len(new))), axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(below == 0, np.where(above == 0, 1.0, np.inf), above / below)
    low, high = np.percentile(ratios, _BAND, method="nearest")
    return Ratio(value, float(low), float(high), known=True)


def _divide(above: float, below: float) -> float:
    if below == 0:
        return 1.0 if above == 0 else float("inf")
    return above / below


@dataclass(frozen=True)
class Line:
    """y = intercept + slope × x; ``r_squared`` is the share of y's variance that the line explains."""

    slope: float
    intercept: float
    r_squared: float


def line(x: Sequence[float], y: Sequence[float]) -> Line:
    """The least-squares line. Raises `ValueError` unless at least two x differ."""
    if len(set(x)) < 2:
        raise ValueError("a line needs two different x")
    xs, ys = np.asarray(x, float), np.asarray(y, float)
    slope, intercept = np.polyfit(xs, ys, 1)
    rest = float(((ys - (intercept + slope * xs)) ** 2).sum())
    total = float(((ys - ys.mean()) ** 2).sum())
    return Line(float(slope), float(intercept), 1.0 if total == 0 else 1 - rest / total)


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that at least ``percent`` % of the samples do not exceed (nearest rank)."""
    if not samples:
        raise ValueError("no samples")
    return float(np.percentile(np.asarray(samples, float), percent, method="inverted_cdf"))


def is_enough(samples: Sequence[float], percent: float) -> bool:
    """Whether there are enough samples for a percentile that is not just the largest sample: 10 for the 90th."""
    return len(samples) * (100 - percent) >= 100
