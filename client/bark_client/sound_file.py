"""Reads sound files with FFmpeg's libraries, which PyAV's wheel carries (LGPL, loaded as shared libraries).

libsndfile, which writes our files, is not used here. Its version 1.2.2 reads no .m4a and no .webm, which phones and
browsers record. It reads three kinds of file wrongly: FLAC of unknown length, as written to a pipe; MP3 of variable
rate without a table of contents; and chained Ogg. Positions are counted in decoded samples, so they are exact in every
format.
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

#: FFmpeg's names of the containers that may hold a recording. Playlists, scripts and lists of files are not among them:
#: those make FFmpeg open further files and addresses.
_CONTAINERS: Final = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,eac3,flac,matroska,webm,mov,mp4,mp3,mpeg,mpegts,ogg,tta,voc,w64,wav,wv"
)
#: What users are told.
KINDS: Final = "wav, flac, mp3, ogg, opus, m4a, mp4, webm, aac and most others"
#: Containers whose time stamps are exact to the sample, so that a part can be sought.
_EXACT: Final = {"aiff", "au", "caf", "flac", "w64", "wav"}
#: Programs that write to a pipe do not know the size of the sound. They state 0, or at least about so many bytes.
_UNKNOWN_SIZES: Final = 0x7EFF_0000
_FULL_SCALE: Final = {"int16": 2.0**15, "int32": 2.0**31, "int64": 2.0**63}

Block = tuple[int, NDArray[np.float32]]  #: the position of its first sample, and samples [channels, n]


class UnreadableSound(Exception):
    """Why a file cannot be read as sound."""


class SoundFile:
    """The sound of an open container. Its rate and channels are those of its first samples.

    promised_s: seconds of sound that its header states, where that is known to be exact.
    """

    def __init__(self, container: Any, *, promised_s: float | None = None) -> None:
        self._container = container
        self._stream: Any = container.streams.best("audio")
        if self._stream is None:
            raise UnreadableSound("it holds no sound")
        self._frames = _uniform(self._decoded())
        self._first = next(self._frames, None)
        if self._first is None:
            raise UnreadableSound("it holds no sound that can be decoded")
        self.rate: int = self._first.sample_rate
        self.promised_s = promised_s
        if container.format.name == "flac" and self._stream.duration:
            self.promised_s = float(self._stream.duration * self._stream.time_base)

    def blocks(self, *, start: int = 0) -> Iterator[Block]:
        """The sound from about sample `start` on, or from the beginning if the file cannot be sought exactly."""
        position = 0
        if start and (found := self._sought(start)) is not None:
            position = found
        while self._first is not None:
            block = _floats(self._first)
            yield position, block
            position += block.shape[1]
            self._first = next(self._frames, None)

    def _sought(self, start: int) -> int | None:
        """Seek to `start` or before it, and return the position. None if that is not possible: nothing has changed."""
        stream, first = self._stream, self._first
        if not _EXACT & set(self._container.format.name.split(",")) or first is None or first.pts is None:
            return None
        origin, scale = first.pts, stream.time_base * self.rate
        with contextlib.suppress(*_errors()):
            self._container.seek(origin + int(start / scale), stream=stream, backward=True)
            frames = _uniform(self._decoded())
            found = next(frames, None)
            if found is not None and found.pts is not None and 0 <= (found.pts - origin) * scale <= start:
                self._frames, self._first = frames, found
                return int((found.pts - origin) * scale)
        self._container.seek(0, stream=stream)
        self._frames = _uniform(self._decoded())
        self._first = next(self._frames, None)
        return None

    def _decoded(self) -> Iterator[Any]:
        """The frames in order.

        Damage at either end is passed over, as in a file that was cut. Damage between, and a part that FFmpeg cannot
        go on with, raise UnreadableSound.
        """
        damage, seconds = None, 0.0
        packets = self._container.demux(self._stream)
        while True:
            packet = None
            try:
                packet = next(packets, None)
                frames = packet.decode() if packet is not None else []
            except _errors() as error:
                if isinstance(error, _foreign()):
                    raise UnreadableSound(
                        f"from {seconds:.1f} s on, its codec, rate or number of channels is another; split it there"
                    ) from None
                if packet is None:
                    return
                if seconds:
                    damage = damage or f"it is damaged at {seconds:.1f} s: {_reason(error)}"
                continue
            if packet is None:
                return
            for frame in frames:
                if damage:
                    raise UnreadableSound(damage)
                seconds += frame.samples / frame.sample_rate
                yield frame


@contextlib.contextmanager
def opened(file: BinaryIO) -> Iterator[SoundFile]:
    """Open a file that is open for reading. Raises UnreadableSound."""
    try:
        import av
    except ImportError:
        raise UnreadableSound("PyAV is not installed here, and it reads sound files: pip install av") from None

    source = file if file.seekable() else io.BytesIO(file.read())
    try:
        promised = _promised_by_wav(source)  # FFmpeg corrects it to what is there
        options = {"format_whitelist": _CONTAINERS}
        with av.open(source, metadata_errors="replace", container_options=options) as container:
            yield SoundFile(container, promised_s=promised)
    except _errors() as error:
        raise UnreadableSound(_reason(error)) from None


def _promised_by_wav(file: BinaryIO) -> float | None:
    """Seconds of sound that the header of a WAV file states. None for other files, and for one written to a pipe."""
    begin = file.tell()
    try:
        if (header := file.read(12))[:4] != b"RIFF" or header[8:] != b"WAVE":
            return None
        bytes_per_second = 0
        while len(chunk := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", chunk)
            if name == b"data":
                return size / bytes_per_second if bytes_per_second and 0 < size < _UNKNOWN_SIZES else None
            content = file.tell()
            if name == b"fmt " and len(form := file.read(12)) == 12:
                bytes_per_second = struct.unpack("<8xI", form)[0]
            file.seek(content + size + size % 2)
        return None
    finally:
        file.seek(begin)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or type(error).__name__)


def _errors() -> tuple[type[Exception], ...]:
    import av

    return (av.error.FFmpegError,)


def _foreign() -> tuple[type[Exception], ...]:
    """How FFmpeg's Ogg reader refuses a link of a chain that is of another kind than the first."""
    import av

    return (av.error.PatchWelcomeError, av.error.ArgumentError)


def _uniform(frames: Iterator[Any]) -> Iterator[Any]:
    """The frames, all with the rate and channels of the first: the links of a chained Ogg may differ."""
    import av

    first = resampler = None
    current = None
    for frame in frames:
        form = (frame.sample_rate, frame.layout.name)
        first = first or form
        if form != current:
            if resampler:
                yield from resampler.resample(None)
            resampler = None if form == first else av.AudioResampler(frame.format.name, layout=first[1], rate=first[0])
            current = form
        yield from resampler.resample(frame) if resampler else [frame]
    if resampler:
        yield from resampler.resample(None)


def _floats(frame: Any) -> NDArray[np.float32]:
    """The samples of a frame, [channels, n], scaled to ±1 as libsndfile scales them."""
    array: NDArray[Any] = frame.to_ndarray()
    if not frame.format.is_planar:
        array = array.reshape(-1, frame.layout.nb_channels).T
    if array.dtype == np.uint8:
        return (array.astype(np.float32) - np.float32(128)) / np.float32(128)
    return array.astype(np.float32) / np.float32(_FULL_SCALE.get(array.dtype.name, 1.0))
