#!/usr/bin/env bash
# Package: av 18.1.0 (FFmpeg in its wheel), numpy 2.3.5
# Behaviour: the beginning of an ADTS file that FFmpeg's own encoder wrote is "Invalid data" to FFmpeg if it is short and nobody
#   says what it is: it guesses the format from the content. With format="aac" it reads every frame. So a stream that is
#   looked at while it grows seems to hold its audio back.
# A good guess: FFmpeg opens what FFmpeg wrote, as soon as there is one frame.
# Seen 2026-11-28: the first 1 to 25 frames: 2 could not be opened, up to 837 bytes; with format="aac" 0
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check av==18.1.0 numpy==2.3.5

"$work/env/bin/python" - << 'PYTHON'
import io

import av
import numpy as np

RATE = 24_000


def adts(samples: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="adts") as container:
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        stream.bit_rate = 64_000
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def opens(data: bytes, **options: str) -> bool:
    try:
        with av.open(io.BytesIO(data), **options) as container:
            return sum(frame.samples for frame in container.decode(audio=0)) > 0
    except av.FFmpegError:
        return False


def frames(data: bytes) -> list[int]:
    """Where each frame ends: 13 bits from bit 30 on are its length (ISO 14496-3)."""
    ends, at = [], 0
    while at < len(data):
        at += (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        ends.append(at)
    return ends


tone = (0.3 * np.sin(np.arange(RATE) * 2 * np.pi * 220 / RATE)).astype(np.float32)
data = adts(tone)
parts = [data[:end] for end in frames(data)]
guessed, told = ([len(part) for part in parts if not opens(part, **how)] for how in ({}, {"format": "aac"}))
print(f"the first 1 to {len(parts)} frames: {len(guessed)} could not be opened, up to {max(guessed, default=0)} bytes;", end=" ")
print(f"with format=\"aac\" {len(told)}")
assert len(guessed) > 1 and max(guessed) > 500
assert len(told) <= 1  # a single frame has only the encoder's delay
PYTHON
