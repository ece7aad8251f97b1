"""Audio files that grow. Their header is true after each write: a process that is killed leaves a file that plays.

Files here are unbuffered: what was written is the system's, and stays when the process is killed.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from bark_client import audio

_HEAD_BYTES = 1024  # of a file: libsndfile overwrites at most the first frame of an MP3 when it closes the file


class Writable(Protocol):
    """Anything that takes bytes, such as an open file."""

    def write(self, data: bytes, /) -> Any: ...


class Writer(Protocol):
    """Takes the samples of one audio file, piece by piece. The file itself stays open."""

    def write(self, samples: NDArray[np.float32]) -> None:
        """Write samples. OSError, for example of a full disk: then `abandon` it."""

    def close(self) -> None:
        """Write what the encoder still holds. OSError as in `write`."""

    def abandon(self) -> None:
        """After an error: leave a file that plays, with all that was written whole."""


def open_writer(file: BinaryIO, *, sample_rate: int, format: str) -> Writer:  # noqa: A002
    """A writer to an unbuffered file: from its position on (WAV), or to an empty file (the other formats)."""
    if format == "wav":
        return WavWriter(file, sample_rate=sample_rate)
    return EncodedWriter(file, sample_rate=sample_rate, format=format)


class WavWriter:
    """WAV of 16 bits. Where nothing can be overwritten, as in a pipe, the header says "until the end".

    data_bytes: of samples that the file holds already, after a header at its position. They stay.
    """

    def __init__(self, file: BinaryIO, *, sample_rate: int, data_bytes: int = 0) -> None:
        self.file, self._rate, self.data_bytes = file, sample_rate, data_bytes
        self._start = file.tell() if _can_overwrite(file) else None
        if self._start is None:
            write_all(file, audio.endless_wav_header(sample_rate=sample_rate))
        else:
            self._write_header(self._start)

    def write(self, samples: NDArray[np.float32]) -> None:
        for block in audio.blocks(samples, self._rate):  # one second
            data = audio.pcm16(block)
            write_all(self.file, data)
            self.data_bytes += len(data)
            if self._start is not None:
                self._write_header(self._start)

    def close(self) -> None:
        """Nothing: the file is complete after each write."""

    def abandon(self) -> None:
        if self._start is not None and is_regular(self.file):
            self.file.truncate(self._end(self._start))

    def _write_header(self, start: int) -> None:
        """Overwrite the header. So few bytes are written whole, or not at all."""
        self.file.seek(start)
        write_all(self.file, audio.wav_header(sample_rate=self._rate, data_bytes=self.data_bytes))
        self.file.seek(self._end(start))

    def _end(self, start: int) -> int:
        return start + audio.WAV_HEADER_BYTES + self.data_bytes


class EncodedWriter:
    """FLAC, Ogg Vorbis or MP3, by libsndfile.

    libsndfile writes to the file descriptor itself: Python code that it called would lose errors and Ctrl-C. A FLAC
    file says its length in its header, which libsndfile writes at the end only. So it is written here as well, once per
    second of samples.
    """

    def __init__(self, file: BinaryIO, *, sample_rate: int, format: str) -> None:  # noqa: A002
        self._file, self._rate, self._format = file, sample_rate, format
        self._regular = is_regular(file)
        self._samples = 0  # given to the encoder
        self._whole_bytes = self._whole_samples = 0  # in the file, after the last write that succeeded
        with self._errors_explained():
            self._encoder = audio.open_encoder(file.fileno(), sample_rate=sample_rate, format=format)

    def write(self, samples: NDArray[np.float32]) -> None:
        for block in audio.blocks(samples, min(self._rate, audio.MAX_BLOCK_SAMPLES)):
            with self._errors_explained():
                self._encoder.write(audio.encoder_samples(block, format=self._format))
            self._samples += block.size
            if self._regular:
                self._whole_bytes = os.fstat(self._file.fileno()).st_size
                self._whole_samples = self._flac_samples() if self._format == "flac" else 0
                self._write_flac_length()

    def close(self) -> None:
        with self._errors_explained():
            self._encoder.close()

    def abandon(self) -> None:
        import soundfile

        head = os.pread(self._file.fileno(), _HEAD_BYTES, 0) if self._regular else b""
        with contextlib.suppress(soundfile.SoundFileError):  # that of the full disk once more
            self._encoder.close()
        if self._regular:  # the encoder has now promised, at the beginning, what is not in the file
            os.pwrite(self._file.fileno(), head, 0)
            os.ftruncate(self._file.fileno(), self._whole_bytes)

    def _flac_samples(self) -> int:
        """Samples that the file holds: whole blocks. The encoder writes a block when it has the sample after it."""
        block = int.from_bytes(os.pread(self._file.fileno(), 2, audio.FLAC_BLOCK_SIZE_AT), "big")
        return max(0, self._samples - 1) // block * block if block else 0

    def _write_flac_length(self) -> None:
        if self._format == "flac" and self._whole_samples:
            length = audio.flac_length(sample_rate=self._rate, samples=self._whole_samples)
            os.pwrite(self._file.fileno(), length, audio.FLAC_LENGTH_AT)

    @contextlib.contextmanager
    def _errors_explained(self) -> Iterator[None]:
        """Raise OSError for an error of libsndfile, which only says "System error"."""
        import soundfile

        try:
            yield
        except soundfile.SoundFileError as error:
            raise self._refusal() or OSError(errno.EIO, str(error)) from error

    def _refusal(self) -> OSError | None:
        """Why the system takes no further byte. None if it does take one."""
        if not self._regular:
            return None
        end = os.fstat(self._file.fileno()).st_size
        try:
            os.pwrite(self._file.fileno(), b"\0", end)
        except OSError as error:
            return error
        os.ftruncate(self._file.fileno(), end)
        return None


def write_all(file: Writable, data: bytes) -> None:
    """Write all of it. An unbuffered file may take a part at a time, and a pipe may ask to wait."""
    if not isinstance(file, io.RawIOBase):
        file.write(data)
        return
    rest = memoryview(data)
    while rest:
        written = file.write(rest)
        if written is None:
            select.select([], [file], [])
        else:
            rest = rest[written:]


def write_whole(path: Path, data: bytes) -> None:
    """Write a file. When it can't be written whole, delete it, and raise OSError with the system's reason."""
    with path.open("wb", buffering=0) as file:
        try:
            write_all(file, data)
        except OSError as error:
            if is_regular(file):
                path.resolve().unlink(missing_ok=True)  # the file itself, not a link to it
            raise OSError(error.errno, f"{error.strerror or error}; nothing was kept", str(path)) from error


def is_regular(file: BinaryIO) -> bool:
    """Whether it is a file on a disk, and no pipe, device or memory."""
    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except io.UnsupportedOperation:
        return False


def _can_overwrite(file: BinaryIO) -> bool:
    """Whether one can seek in it. A file that was opened with `>>` takes bytes at its end only."""
    if not file.seekable():
        return False
    try:
        descriptor = file.fileno()
    except io.UnsupportedOperation:
        return True  # in memory
    if sys.platform == "win32":
        return True
    import fcntl

    return not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND
