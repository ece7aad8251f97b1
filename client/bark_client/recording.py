"""A recording to clone a voice from: a sound file of any usual kind, or samples."""

from __future__ import annotations

import math
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bark_client import sound_file
from bark_client.errors import InvalidRequest

MIN_CLIP_S, MAX_CLIP_S = 1.0, 30.0
MAX_COUNTED_S = 600  #: a longer recording is not read to its end only to say how long it is
MIN_RATE_HZ, MAX_RATE_HZ = 8_000, 192_000
CUT_S: Final = 0.05  #: that a file may lack without a warning
MAX_PEAK: Final = 8.0  #: full scale is 1. The server brings any clip to one level. Louder ones are mostly a mistake
_ADVICE: Final = "5 to 12 s of one person's clear speech are best"

#: What to clone from: a sound file by path or open for reading, or samples [n] or [n, channels] with their rate.
Source: TypeAlias = str | os.PathLike[str] | BinaryIO | tuple[ArrayLike, int]


@dataclass(frozen=True, eq=False)
class Recording:
    """A clip in the form that the server takes."""

    samples: NDArray[np.float32]  #: [channels, n], full scale is ±1
    sample_rate: int
    warnings: tuple[str, ...] = ()  #: possible problems of its file

    @property
    def seconds(self) -> float:
        return self.samples.shape[1] / self.sample_rate


def read(source: Source, *, start: float = 0.0, duration: float | None = None) -> Recording:
    """Read the clip, or `duration` seconds of it from `start` on (None: to its end). The rest of a file isn't read.

    Integer samples are scaled to ±1. Raises InvalidRequest: not a sound file, not 1 to 30 s, not 8 to 192 kHz, samples
    above `MAX_PEAK`.
    """
    if not 0 <= start < math.inf:
        raise InvalidRequest(f"start: expected seconds from 0 on, not {start:g}")
    if duration is not None and not 0 < duration < math.inf:
        raise InvalidRequest(f"duration: expected seconds above 0, not {duration:g}")
    warnings: tuple[str, ...] = ()
    if isinstance(source, tuple):
        name, samples, rate = "the samples", *_from_samples(source)
        first, end = _span(name, samples.shape[1], rate, start=start, duration=duration)
        samples = samples[:, first:end]
    else:
        name, samples, rate, warnings = _from_file(source, start=start, duration=duration)
    _check_samples(name, samples, path=_path_of(source), of_file=not isinstance(source, tuple))
    return Recording(np.ascontiguousarray(samples, dtype=np.float32), rate, warnings)


def _from_file(
    source: str | os.PathLike[str] | BinaryIO, *, start: float, duration: float | None
) -> tuple[str, NDArray[np.float32], int, tuple[str, ...]]:
    if not isinstance(source, str | os.PathLike):
        name = str(getattr(source, "name", "the clip"))
        return _from_open_file(source, name=name, path=_path_of(source), start=start, duration=duration)
    path = Path(source)
    if path.is_dir():
        raise InvalidRequest(f"{path}: a folder; give the path of one recording in it")
    if not path.is_file():
        raise InvalidRequest(f"{path}: no such file; give the path of a recording")
    try:
        with path.open("rb") as file:
            return _from_open_file(file, name=str(path), path=path, start=start, duration=duration)
    except OSError as error:
        raise InvalidRequest(f"{path}: it cannot be read ({error.strerror}); you must be allowed to read it") from None


def _from_open_file(
    file: BinaryIO, *, name: str, path: Path | None, start: float, duration: float | None
) -> tuple[str, NDArray[np.float32], int, tuple[str, ...]]:
    kept: list[NDArray[np.float32]] = []
    count = 0
    warnings: tuple[str, ...] = ()
    try:
        with sound_file.opened(file) as sound:
            rate = sound.rate
            _check_rate(name, rate)
            first = round(start * rate)
            end = first + (math.ceil(MAX_CLIP_S * rate) if duration is None else round(duration * rate))
            counted = end if duration is not None else first + MAX_COUNTED_S * rate
            for position, block in sound.blocks(start=first):
                count = position + block.shape[1]
                kept.append(block[:, max(0, first - position) : max(0, end - position)])
                if count >= counted or (duration is not None and count - first > MAX_COUNTED_S * rate):
                    break
            else:
                warnings = _of_a_cut(name, count / rate, promised_s=sound.promised_s)
    except sound_file.UnreadableSound as error:
        remedy = "convert it to WAV first" if path is None else f"convert it first: {_ffmpeg(path)} clip.wav"
        raise InvalidRequest(f"{name}: not a sound file that can be read ({error}); {remedy}") from None
    _span(name, count, rate, start=start, duration=duration)
    return name, np.concatenate(kept, axis=1), rate, warnings


def _of_a_cut(name: str, seconds: float, *, promised_s: float | None) -> tuple[str, ...]:
    """The warning about a file that ends before its header says so, in a tuple; else an empty one."""
    if promised_s is None or promised_s - seconds < CUT_S:
        return ()
    return (f"{name} was cut off: its header promises {promised_s:.1f} s of sound, and it ends at {seconds:.1f} s.",)


def _path_of(source: Source) -> Path | None:
    """The path of a file, also of one that is open. None for samples, bytes in memory and standard input."""
    path = source if isinstance(source, str | os.PathLike) else getattr(source, "name", None)
    known = isinstance(path, os.PathLike) or (isinstance(path, str) and path and not path.startswith("<"))
    return Path(path) if path is not None and known else None


def _ffmpeg(path: Path) -> str:
    """The beginning of a command that reads the file. ffmpeg takes `-a.wav` for an option, and `a:b.wav` for a link."""
    plain = path.is_absolute() or not (str(path).startswith("-") or ":" in str(path))
    return f"ffmpeg -i {shlex.quote(str(path) if plain else f'./{path}')}"


def _check_samples(name: str, samples: NDArray[Any], *, path: Path | None, of_file: bool) -> None:
    """Raise InvalidRequest for samples that are no numbers, or far above full scale."""
    if not np.isfinite(samples).all():
        raise InvalidRequest(f"{name}: some samples are NaN or infinite; record or export it again")
    peak = float(np.abs(samples).max())
    if peak <= MAX_PEAK:
        return
    divisor = math.ceil(peak)
    remedy = f"make it quieter by a factor of {divisor} first" if of_file else f"divide them by {divisor}"
    if path is not None:
        remedy = f"make it quieter first: {_ffmpeg(path)} -af volume=1/{divisor} quieter.wav"
    shown = f"{peak:g}" if float(f"{peak:g}") > MAX_PEAK else repr(peak)  # 8.000001 is not shown as 8
    raise InvalidRequest(f"{name}: a peak of {shown}; full scale is 1, and a clip has at most {MAX_PEAK:g}: {remedy}")


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
    _check_rate(name, rate)
    first = round(start * rate)
    if first >= count:
        raise InvalidRequest(f"{name}: it ends at {count / rate:.1f} s, before the start of {start:g} s")
    end = count if duration is None else min(count, first + round(duration * rate))
    seconds = (end - first) / rate
    limits = f"a voice is cloned from {MIN_CLIP_S:g} to {MAX_CLIP_S:g} s"
    if seconds < MIN_CLIP_S:
        raise InvalidRequest(f"{name}: {seconds:.2f} s of sound; {limits}, and {_ADVICE}")
    if seconds > MAX_CLIP_S:
        at_least = "at least " * (seconds >= MAX_COUNTED_S)
        raise InvalidRequest(
            f"{name}: {at_least}{seconds:.1f} s of sound; {limits}: pick a part with start and duration"
        )
    return first, end


def _check_rate(name: str, rate: int) -> None:
    if not MIN_RATE_HZ <= rate <= MAX_RATE_HZ:
        raise InvalidRequest(
            f"{name}: its sample rate is {rate} Hz; a clip needs {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz: resample it first"
        )
