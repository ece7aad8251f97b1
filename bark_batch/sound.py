"""Samples to a whole file of audio: FLAC by libsndfile, Opus by FFmpeg. The same samples give the same bytes."""

from __future__ import annotations

import io
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray

from bark_client.audio import encode as encode_by_libsndfile

SUFFIXES: Final = {"flac": "flac", "opus": "ogg"}  #: format → suffix of the names of its files
OPUS_BITS_PER_S: Final = 48_000
_OPUS_FRAME_SAMPLES: Final = 1 << 14


def encode(samples: NDArray[np.float32], *, sample_rate: int, format: str) -> bytes:  # noqa: A002
    """A file of audio. samples: float32 [n] in -1..1, mono. sample_rate: Hz. format: one of `SUFFIXES`."""
    if format == "flac":
        return encode_by_libsndfile(samples, sample_rate=sample_rate, format="flac")
    return _opus(samples, sample_rate=sample_rate)


def _opus(samples: NDArray[np.float32], *, sample_rate: int) -> bytes:
    buffer = io.BytesIO()
    # Without "bitexact", FFmpeg draws the stream's serial number by lot.
    with av.open(buffer, "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        stream: Any = container.add_stream("libopus", rate=sample_rate, layout="mono")
        stream.bit_rate = OPUS_BITS_PER_S
        for start in range(0, samples.size, _OPUS_FRAME_SAMPLES):
            block = np.clip(samples[start : start + _OPUS_FRAME_SAMPLES], -1.0, 1.0)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block[None]), format="flt", layout="mono")
            frame.sample_rate, frame.pts = sample_rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()
