"""A recording to clone a voice from: a file that libsndfile reads, or samples."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bark_client.errors import InvalidRequest

MIN_CLIP_S, MAX_CLIP_S = 1.0, 30.0
MIN_RATE_HZ, MAX_RATE_HZ = 8_000, 192_000
_ADVICE: Final = "5 to 12 s of one person's clear speech are best"

#: What to clone from: a sound file by path or open for reading, or samples [n] or [n, channels] with their rate.
Source: TypeAlias = str | os.PathLike[str] | BinaryIO | tuple[ArrayLike, int]


@dataclass(frozen=True, eq=False)
class Recording:
    """A clip in the form that the server takes."""

    samples: NDArray[np.float32]  #: [channels, n], full scale is ±1
    sample_rate: int

    @property
    def seconds(self) -> float:
        return self.samples.shape[1] / self.sample_rate


def read(source: Source, *, start: float = 0.0, duration: float | None = None) -> Recording:
    """Read the clip, or `duration` seconds of it from `start` on (None: to its end). The rest of a file isn't read.

    Integer samples are scaled to ±1. Raises InvalidRequest: not a sound file, not 1 to 30 s, not 8 to 192 kHz.
    """
    if not 0 <= start < math.inf or (duration is not None and not 0 < duration < math.inf):
        raise InvalidRequest(
            f"start {start:g} s and duration {duration} s: the start must be at least 0, the duration above 0"
        )
    if isinstance(source, tuple):
        name, samples, rate = "the samples", *_from_samples(source)
        first, end = _span(name, samples.shape[1], rate, start=start, duration=duration)
        samples = samples[:, first:end]
    else:
        name, samples, rate = _from_file(source, start=start, duration=duration)
    if not np.isfinite(samples).all():
        raise InvalidRequest(f"{name}: some samples are NaN or infinite")
    return Recording(np.ascontiguousarray(samples, dtype=np.float32), rate)


def _from_file(
    source: str | os.PathLike[str] | BinaryIO, *, start: float, duration: float | None
) -> tuple[str, NDArray[np.float32], int]:
    import soundfile

    path = Path(source) if isinstance(source, str | os.PathLike) else None
    name = str(path) if path else str(getattr(source, "name", "the clip"))
    if path and not path.is_file():
        raise InvalidRequest(f"{name}: no such file")
    try:
        with soundfile.SoundFile(path or source) as file:
            first, end = _span(name, file.frames, file.samplerate, start=start, duration=duration)
            file.seek(first)
            return name, file.read(end - first, dtype="float32", always_2d=True).T, file.samplerate
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: samples without a header (.raw)
        raise InvalidRequest(
            f"{name}: not a sound file that can be read ({error}); convert it first: ffmpeg -i {name} clip.wav"
        ) from None


def _from_samples(source: tuple[ArrayLike, int]) -> tuple[NDArray[Any], int]:
    """Samples as floats, [channels, n]."""
    if len(source) != 2:
        raise InvalidRequest(f"a clip of samples is a pair (samples, rate), not a tuple of {len(source)}")
    samples, rate = np.asarray(source[0]), source[1]
    if samples.dtype.kind not in "fi" or samples.ndim not in (1, 2) or samples.size == 0:
        raise InvalidRequest(
            f"the samples: expected floats or signed integers, [n] or [n, channels], "
            f"not {samples.dtype} {list(samples.shape)}"
        )
    if isinstance(rate, bool) or not isinstance(rate, int | np.integer):
        raise InvalidRequest(f"the samples' rate: expected a whole number of Hz, not {rate!r}")
    if samples.dtype.kind == "i":
        samples = samples / -float(np.iinfo(samples.dtype).min)
    samples = samples.reshape(1, -1) if samples.ndim == 1 else samples
    # A clip of one second has more samples than channels, which tells [n, channels] and [channels, n] apart.
    return (samples.T if samples.shape[0] > samples.shape[1] else samples), int(rate)


def _span(name: str, count: int, rate: int, *, start: float, duration: float | None) -> tuple[int, int]:
    """The first sample and the end of the requested part of `count` samples."""
    if not MIN_RATE_HZ <= rate <= MAX_RATE_HZ:
        raise InvalidRequest(f"{name}: its sample rate is {rate} Hz; a clip needs {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz")
    first = round(start * rate)
    if first >= count:
        raise InvalidRequest(f"{name}: it ends at {count / rate:.1f} s, before the start of {start:g} s")
    end = count if duration is None else min(count, first + round(duration * rate))
    seconds = (end - first) / rate
    limits = f"a voice is cloned from {MIN_CLIP_S:g} to {MAX_CLIP_S:g} s"
    if seconds < MIN_CLIP_S:
        raise InvalidRequest(f"{name}: {seconds:.2f} s of sound; {limits}, and {_ADVICE}")
    if seconds > MAX_CLIP_S:
        raise InvalidRequest(f"{name}: {seconds:.1f} s of sound; {limits}: pick a part with start and duration")
    return first, end
