"""Where audio goes: a file, standard output, the loudspeaker. Each takes samples piece by piece."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from bark_client import audio
from bark_client.cli.outputs import check_writable
from bark_client.errors import BarkError, InvalidRequest, MissingExtra
from bark_client.growing import WavWriter, Writer, is_regular, open_writer, write_all


class Sink(Protocol):
    """Takes audio piece by piece; `close` it after the last one."""

    seconds: float  #: written; after an error, those that are kept

    @property
    def keeps(self) -> str:
        """What of it stays after an error: a file and its seconds; nothing where there is no file."""

    def write(self, samples: NDArray[np.float32], *, sample_rate: int) -> None: ...

    def close(self) -> None: ...


class FileSink:
    """An audio file; its suffix chooses the format. After an error it holds what was written until then."""

    def __init__(self, path: Path) -> None:
        self._path, self._format = path, _format_of(path)
        self._file: BinaryIO | None = None
        self._writer: Writer | None = None
        self.seconds = 0.0
        self._failed_to_write = False
        check_writable(path)

    @property
    def keeps(self) -> str:
        known = self.seconds and not self._failed_to_write and self._path.is_file()
        return _first_seconds(str(self._path), self.seconds) if known else ""

    def write(self, samples: NDArray[np.float32], *, sample_rate: int) -> None:
        try:
            if self._file is None:
                self._file = _unbuffered(self._path)
            self._writer = self._writer or open_writer(self._file, sample_rate=sample_rate, format=self._format)
            for second in audio.blocks(samples, sample_rate):
                self._writer.write(second)
                self.seconds += second.size / sample_rate
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        try:
            if self._writer is not None:
                self._writer.close()
        except OSError as error:
            raise self._failed(error) from error
        finally:
            self._writer = None
            if self._file is not None:
                self._file.close()

    def _failed(self, error: OSError) -> BarkError:
        """Leave a file that plays, or none, and say what was kept."""
        self._failed_to_write = True
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None
        self.seconds, kept = 0.0, ""
        if self._file is not None and is_regular(self._file):
            self._file.close()
            self.seconds = _readable_seconds(self._path)
            kept = _kept(self.seconds)
            if not self.seconds:
                self._path.resolve().unlink()  # the file itself, not a link to it
        return _write_error(str(self._path), error, kept)


class PipeSink:
    """A byte stream, such as standard output: a WAV, or bare 16-bit samples.

    The header of a WAV says its length if the stream is a file, and "until the end" if it is a pipe.
    """

    def __init__(self, stream: BinaryIO | None = None, *, raw: bool = False) -> None:
        stream = stream or sys.stdout.buffer
        stream.flush()
        self._stream: BinaryIO = getattr(stream, "raw", stream)  # a buffer would fail again when Python exits
        self._raw = raw
        self._writer: WavWriter | None = None
        self.seconds = 0.0

    @property
    def keeps(self) -> str:
        known = self.seconds and is_regular(self._stream)
        return _first_seconds("standard output", self.seconds) if known else ""

    def write(self, samples: NDArray[np.float32], *, sample_rate: int) -> None:
        try:
            if not self._raw:
                self._writer = self._writer or WavWriter(self._stream, sample_rate=sample_rate)
            for second in audio.blocks(samples, sample_rate):
                if self._writer is None:
                    write_all(self._stream, audio.pcm16(second))
                else:
                    self._writer.write(second)
                self.seconds += second.size / sample_rate
        except BrokenPipeError:
            raise  # the player has quit
        except OSError as error:
            if self._writer is not None:
                self._writer.abandon()
            kept = _kept(self.seconds) if is_regular(self._stream) else ""
            raise _write_error("standard output", error, kept) from error

    def close(self) -> None:
        """Nothing: no sample is held back."""


def _format_of(path: Path) -> str:
    try:
        return audio.format_of(path)
    except InvalidRequest as error:
        raise InvalidRequest(f"{error}, or - for standard output") from None


def _unbuffered(path: Path) -> BinaryIO:
    """Open a file to write; one on a disk can be read too, which a writer needs."""
    special = path.exists() and not path.is_file()
    return path.open("wb" if special else "w+b", buffering=0)


def _readable_seconds(path: Path) -> float:
    """Seconds of audio in a file that may end early: as much as can be read of it."""
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            return float(sum(block.size for block in file.blocks(audio.MAX_BLOCK_SAMPLES)) / file.samplerate)
    except soundfile.SoundFileError:
        return 0.0


def _kept(seconds: float) -> str:
    return f"; it keeps the first {seconds:.1f} s" if seconds else "; nothing was kept"


def _first_seconds(name: str, seconds: float) -> str:
    return f"{name}: the first {seconds:.1f} s are kept"


def _write_error(name: str, error: OSError, kept: str) -> BarkError:
    return BarkError(f"can't write {name}: {(error.strerror or str(error)).lower()}{kept}")


class SpeakerSink:
    """The default loudspeaker. Needs the `play` extra (sounddevice)."""

    keeps = ""

    def __init__(self) -> None:
        self.seconds = 0.0
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
            self.seconds += samples.size / sample_rate
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
