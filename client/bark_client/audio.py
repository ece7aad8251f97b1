"""Samples to audio files: WAV by ourselves, the other formats by libsndfile."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from bark_client.errors import InvalidRequest
from bark_client.formats import by_suffix

FORMATS: Final = {"wav": "PCM_16", "flac": "PCM_16", "ogg": "VORBIS", "mp3": "MPEG_LAYER_III"}  #: suffix → encoding
#: libsndfile's scale from 0, the most bits, to 1. At 24 kHz this is 64 kbit/s. The rate is constant, because of a
#: variable one libsndfile writes the length only when it closes the file. Until then, readers find a part of the audio.
MP3_COMPRESSION: Final = 0.63
MAX_BLOCK_SAMPLES: Final = 1 << 16  #: that one call of libsndfile gets
FULL_SCALE: Final = 32767  #: the 16-bit integer of a sample of 1
WAV_HEADER_BYTES: Final = 44
FLAC_BLOCK_SIZE_AT: Final = 8  #: bytes from the beginning of the file: 16 bits, the samples of a block
FLAC_LENGTH_AT: Final = 18  #: bytes from the beginning of the file
_UNKNOWN_SIZE: Final = 0xFFFFFFFF


def format_of(path: str | os.PathLike[str]) -> str:
    """The format that the suffix of a file name asks for. InvalidRequest lists the formats."""
    return by_suffix(path, FORMATS)


def check_format(name: str) -> str:
    """The format of that name, in lower case. InvalidRequest lists the formats."""
    found = name.lower().removeprefix(".") if isinstance(name, str) else name
    if found not in FORMATS:
        raise InvalidRequest(f"format: {name!r} is not one of {', '.join(FORMATS)}")
    return found


def encode(samples: NDArray[np.float32], *, sample_rate: int, format: str = "wav") -> bytes:  # noqa: A002
    """A whole audio file: `samples` float32 [n] in -1..1 (louder is clipped), mono."""
    if format == "wav":
        data = pcm16(samples)
        return wav_header(sample_rate=sample_rate, data_bytes=len(data)) + data
    buffer = io.BytesIO()
    with open_encoder(buffer, sample_rate=sample_rate, format=format) as encoder:
        for block in blocks(samples, MAX_BLOCK_SAMPLES):
            encoder.write(encoder_samples(block, format=format))
    return buffer.getvalue()


def open_encoder(target: int | BinaryIO, *, sample_rate: int, format: str) -> Any:  # noqa: A002
    """Open a mono `soundfile.SoundFile` for writing to a file descriptor, which stays open, or to a file object."""
    import soundfile

    bitrate = {"bitrate_mode": "CONSTANT", "compression_level": MP3_COMPRESSION} if format == "mp3" else {}
    return soundfile.SoundFile(
        target,
        "w",
        samplerate=sample_rate,
        channels=1,
        format=format.upper(),
        subtype=FORMATS[format],
        closefd=False,
        **bitrate,
    )


def encoder_samples(samples: NDArray[np.float32], *, format: str) -> NDArray[Any]:  # noqa: A002
    """What an encoder gets. For 16-bit formats we round ourselves, so that all of them hold the same samples."""
    if FORMATS[format] == "PCM_16":
        return integers(samples)
    return np.clip(samples, -1.0, 1.0)


def blocks(samples: NDArray[np.float32], size: int) -> Iterator[NDArray[np.float32]]:
    """The samples in pieces of at most `size`."""
    for start in range(0, samples.size, size):
        yield samples[start : start + size]


def integers(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Float samples as 16-bit integers: clipped, times 32 767, rounded."""
    return (np.clip(samples, -1.0, 1.0) * FULL_SCALE).round().astype(np.int16)


def pcm16(samples: NDArray[np.float32]) -> bytes:
    """Float samples as 16-bit little-endian integers, clipped."""
    return integers(samples).astype("<i2").tobytes()


def wav_header(*, sample_rate: int, data_bytes: int) -> bytes:
    """The header of a WAV file of 16-bit mono. More bytes than 32 bits can count are written as "until the end"."""
    form = struct.pack("<IHHIIHH", 16, 1, 1, sample_rate, 2 * sample_rate, 2, 16)
    riff = min(_UNKNOWN_SIZE, data_bytes + WAV_HEADER_BYTES - 8)
    return (
        struct.pack("<4sI4s4s", b"RIFF", riff, b"WAVE", b"fmt ")
        + form
        + struct.pack("<4sI", b"data", min(_UNKNOWN_SIZE, data_bytes))
    )


def endless_wav_header(*, sample_rate: int) -> bytes:
    """A WAV header for 16-bit mono of unknown length: sizes of 2³²−1, which players read as "until the end"."""
    return wav_header(sample_rate=sample_rate, data_bytes=_UNKNOWN_SIZE)


def flac_length(*, sample_rate: int, samples: int) -> bytes:
    """What a FLAC file of 16-bit mono says about its length, from `FLAC_LENGTH_AT` on.

    The end of the block STREAMINFO (RFC 9639, section 8.2): 20 bits of sample rate, 3 of channels less one, 5 of bits
    per sample less one, 36 of samples; then an MD5 of the samples, where zeros mean "not known".
    """
    return (sample_rate << 44 | 15 << 36 | samples).to_bytes(8, "big") + bytes(16)
