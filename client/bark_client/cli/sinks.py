"""Where audio goes: a file, standard output, the loudspeaker. Each takes samples piece by piece."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from bark_client import audio
from bark_client.cli.outputs import check_writable
from bark_client.errors import BarkError, InvalidRequest, MissingExtra


class Sink(Protocol):
    """Takes audio piece by piece; `close` it after the last one."""

    def write(self, samples: NDArray[np.float32], *, sample_rate: int) -> None: ...

    def close(self) -> None: ...


class FileSink:
    """An audio file; its suffix chooses the format. After an error it holds what was written until then."""

    def __init__(self, path: Path) -> None:
        self._path, self._format = path, audio.format_of(path)
        self._file: Any = None
        check_writable(path)

    def write(self, samples: NDArray[np.float32], *, sample_rate: int) -> None:
        with self._errors_named():
            self._file = self._file or audio.open_file(self._path, sample_rate=sample_rate, format=self._format)
            audio.write_blocks(self._file, samples)

    def close(self) -> None:
        if self._file is not None:
            with self._errors_named():
                self._file.close()

    @contextlib.contextmanager
    def _errors_named(self) -> Iterator[None]:
        """Turn an error of libsndfile, such as a full disk, into a BarkError."""
        import soundfile

        try:
            yield
        except soundfile.SoundFileError as error:
            raise BarkError(f"can't write {self._path}: {error}") from error


class PipeSink:
    """A byte stream, such as standard output: a WAV of unknown length, or bare 16-bit samples."""

    def __init__(self, stream: BinaryIO | None = None, *, raw: bool = False) -> None:
        self._stream, self._header_due = stream or sys.stdout.buffer, not raw

    def write(self, samples: NDArray[np.float32], *, sample_rate: int) -> None:
        if self._header_due:
            self._stream.write(audio.endless_wav_header(sample_rate=sample_rate))
            self._header_due = False
        self._stream.write(audio.pcm16(samples))
        self._stream.flush()

    def close(self) -> None:
        self._stream.flush()


class SpeakerSink:
    """The default loudspeaker. Needs the `play` extra (sounddevice)."""

    def __init__(self) -> None:
        try:
            import sounddevice
        except ImportError:
            raise MissingExtra(
                "playing needs sounddevice: pip install './client[play]' in the checkout of bark-triton"
            ) from None
        except OSError as error:  # the package is installed, the system's PortAudio isn't
            raise MissingExtra(f"playing needs the PortAudio library ({error}): apt install libportaudio2") from None
        self._sounddevice = sounddevice
        self._output: Any = None

    def write(self, samples: NDArray[np.float32], *, sample_rate: int) -> None:
        try:
            self._output = self._output or self._open(sample_rate)
            self._output.write(samples.reshape(-1, 1))  # waits while the loudspeaker is busy
        except self._sounddevice.PortAudioError as error:
            raise BarkError(f"can't play: {error}; write a file with -o instead") from None

    def close(self) -> None:
        if self._output is not None:
            self._output.stop()  # plays what is still buffered
            self._output.close()

    def _open(self, sample_rate: int) -> Any:
        output = self._sounddevice.OutputStream(samplerate=sample_rate, channels=1, dtype="float32")
        output.start()
        return output


def open_sinks(target: str | None, *, play: bool, raw: bool = False) -> list[Sink]:
    """Open what a command writes audio to, before it works: a bad name or a missing package then shows at once.

    `target` is a path, `-` for standard output (without a header if `raw`), or None.
    """
    sinks: list[Sink] = []
    if raw and target != "-":
        raise InvalidRequest("--raw is for standard output: add `-o -`")
    if target == "-":
        if sys.stdout.isatty():
            raise InvalidRequest("-o - writes audio bytes: pipe it into a player or a file")
        sinks.append(PipeSink(raw=raw))
    elif target is not None:
        sinks.append(FileSink(Path(target)))
    if play:
        sinks.append(SpeakerSink())
    return sinks
