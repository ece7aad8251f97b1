"""Samples to bytes of a format, while they come."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from bark_client.audio import WAV_HEADER_BYTES, endless_wav_header, integers, pcm16, wav_header
from bark_gateway.formats import CODINGS, Coding

Samples = NDArray[np.float32]  #: [n], -1..1 (louder is clipped), mono


class Encoder(ABC):
    """Takes the samples of one stream in order, and gives its bytes."""

    header_alone = False  #: the first bytes are a header without audio

    @abstractmethod
    def feed(self, samples: Samples) -> bytes:
        """The bytes that are ready now. The first ones hold the header."""

    @abstractmethod
    def end(self) -> bytes | bytearray:
        """The rest."""


def open_encoder(format: str, *, sample_rate: int, whole: bool = False) -> Encoder:  # noqa: A002
    """An encoder of one of `formats.MEDIA_TYPES`. sample_rate: Hz.

    whole: all bytes may come at the end. So the file says how long it is, which a stream can't.
    """
    if format in CODINGS:
        return CodecEncoder(CODINGS[format], sample_rate=sample_rate, whole=whole)
    if whole and format == "wav":
        return WholeWav(sample_rate)
    return RawEncoder(endless_wav_header(sample_rate=sample_rate) if format == "wav" else b"")


class RawEncoder(Encoder):
    """16-bit samples, after a header."""

    def __init__(self, header: bytes) -> None:
        self._header = header

    def feed(self, samples: Samples) -> bytes:
        header, self._header = self._header, b""
        return header + pcm16(samples)

    def end(self) -> bytes:
        return self.feed(np.zeros(0, np.float32))


class WholeWav(Encoder):
    """A WAV that says how long it is. Its header, blank until the end, is in the buffer that is the file."""

    def __init__(self, sample_rate: int) -> None:
        self._rate, self._file = sample_rate, bytearray(WAV_HEADER_BYTES)

    def feed(self, samples: Samples) -> bytes:
        self._file += pcm16(samples)
        return b""

    def end(self) -> bytes | bytearray:
        data_bytes = len(self._file) - WAV_HEADER_BYTES
        self._file[:WAV_HEADER_BYTES] = wav_header(sample_rate=self._rate, data_bytes=data_bytes)
        return self._file


class _Sink:
    """What FFmpeg writes a stream to. It can't seek, like a connection."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


class CodecEncoder(Encoder):
    """Bytes of a codec in a container, by FFmpeg. whole: it goes back to the header at the end, so all waits for it."""

    def __init__(self, coding: Coding, *, sample_rate: int, whole: bool = False) -> None:
        self.header_alone = coding.header_alone
        self._coding, self._rate, self._position = coding, sample_rate, 0
        self._sink, self._file = _Sink(), io.BytesIO() if whole else None
        options = {**coding.container_options, **({} if whole else coding.stream_options)}
        self._container: Any = av.open(self._file or self._sink, "w", format=coding.container, options=options)
        stream: Any = self._container.add_stream(
            coding.codec, rate=sample_rate, layout="mono", options=dict(coding.codec_options)
        )
        if coding.bit_rate is not None:
            stream.bit_rate = coding.bit_rate
        self._stream = stream

    def feed(self, samples: Samples) -> bytes:
        if samples.size:
            self._encode(self._frame(samples))
        return self._sink.take()

    def end(self) -> bytes:
        self._encode(None)
        self._container.close()
        return self._sink.take() if self._file is None else self._file.getvalue()

    def _frame(self, samples: Samples) -> Any:
        form = self._coding.sample_format
        values: NDArray[Any] = integers(samples) if form == "s16" else np.clip(samples, -1.0, 1.0)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(values[None]), format=form, layout="mono")
        frame.sample_rate = self._rate
        frame.pts = self._position
        self._position += samples.size
        return frame

    def _encode(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
