"""Audio files decoded by FFmpeg, and what it says about them."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import av
import av.logging
import numpy as np

from bark_client import audio

RATE = 24_000
DEMUXERS = {"mp3": "mp3", "opus": "ogg", "aac": "aac", "flac": "flac", "wav": "wav"}


@contextmanager
def messages(level: int = av.logging.WARNING) -> Iterator[list[str]]:
    """What FFmpeg says in the block, from warnings on."""
    said: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    handler, before = Handler(), av.logging.get_level()
    logging.getLogger("libav").addHandler(handler)
    av.logging.set_level(level)
    try:
        yield said
    finally:
        av.logging.set_level(before)
        logging.getLogger("libav").removeHandler(handler)


def decode(data: bytes, *, format: str) -> np.ndarray:  # noqa: A002
    """Samples at `RATE`, float32 [n]. The format is told, as its content type tells a player: FFmpeg guesses badly."""
    if format == "pcm":
        return np.frombuffer(data, "<i2").astype(np.float32) / 32768
    with av.open(io.BytesIO(data), format=DEMUXERS[format]) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        frames: list[Any] = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([np.zeros(0, np.float32), *(frame.to_ndarray().reshape(-1) for frame in frames)])


def integers(samples: np.ndarray) -> np.ndarray:
    """The 16-bit integers that a lossless file held."""
    return (samples * 32768).round().astype(np.int16)


def tone(seconds: float, *, hertz: float = 220.0) -> np.ndarray:
    return (0.3 * np.sin(np.arange(round(seconds * RATE)) * 2 * np.pi * hertz / RATE)).astype(np.float32)


def pcm(samples: np.ndarray) -> bytes:
    return audio.pcm16(samples)
