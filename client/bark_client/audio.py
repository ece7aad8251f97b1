"""Samples to audio files, by libsndfile."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from bark_client.errors import InvalidRequest

FORMATS: Final = {"wav": "PCM_16", "flac": "PCM_16", "ogg": "VORBIS", "mp3": "MPEG_LAYER_III"}  #: suffix → encoding
_BLOCK_SAMPLES = 1 << 16  #: that one call of libsndfile gets
_UNKNOWN_SIZE = 0xFFFFFFFF


def format_of(path: str | os.PathLike[str]) -> str:
    """The format that the suffix of a file name asks for. InvalidRequest lists the formats."""
    suffix = Path(path).suffix.lower().removeprefix(".")
    if suffix not in FORMATS:
        known = ", ".join(f".{name}" for name in FORMATS)
        raise InvalidRequest(f"can't write {Path(path).name!r}: the suffix must be one of {known}")
    return suffix


def encode(samples: NDArray[np.float32], *, sample_rate: int, format: str = "wav") -> bytes:  # noqa: A002
    """A whole audio file: `samples` float32 [n] in -1..1 (louder is clipped), mono."""
    buffer = io.BytesIO()
    with open_file(buffer, sample_rate=sample_rate, format=format) as file:
        write_blocks(file, samples)
    return buffer.getvalue()


def open_file(target: Path | BinaryIO, *, sample_rate: int, format: str) -> Any:  # noqa: A002
    """Open a mono `soundfile.SoundFile` for writing."""
    import soundfile

    return soundfile.SoundFile(
        target, "w", samplerate=sample_rate, channels=1, format=format.upper(), subtype=FORMATS[format]
    )


def write_blocks(file: Any, samples: NDArray[np.float32]) -> None:
    """Write samples to a file from `open_file`, in blocks of `_BLOCK_SAMPLES`."""
    for start in range(0, samples.size, _BLOCK_SAMPLES):
        file.write(samples[start : start + _BLOCK_SAMPLES])


def pcm16(samples: NDArray[np.float32]) -> bytes:
    """Float samples as 16-bit little-endian integers, clipped."""
    return (np.clip(samples, -1.0, 1.0) * 32767.0).round().astype("<i2").tobytes()


def endless_wav_header(*, sample_rate: int) -> bytes:
    """A WAV header for 16-bit mono of unknown length: sizes of 2³²−1, which players read as "until the end"."""
    form = struct.pack("<IHHIIHH", 16, 1, 1, sample_rate, 2 * sample_rate, 2, 16)
    sizes = struct.pack("<I", _UNKNOWN_SIZE)
    return b"RIFF" + sizes + b"WAVEfmt " + form + b"data" + sizes
