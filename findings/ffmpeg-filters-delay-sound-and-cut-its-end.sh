#!/usr/bin/env bash
# Package: av 18.1.0 (FFmpeg 8.1.2 in its wheel), numpy 2.3.5
# Behaviour: filters that work on blocks of a spectrum give as many samples as they get, under the same time stamps, but
#   the sound in them is later: 25 ms for the noise reduction afftdn, 64 ms for dialoguenhance. They begin with silence,
#   and as much is cut at the end. The filter afwtdn, also a noise reduction, delays and cuts nothing.
# A good guess: what a filter holds back comes at the end of the stream, and time stamps say where the sound was before.
# Seen 2026-11-30: of 48 000 samples at 24 kHz that begin at 0, 48 000 that begin at 0; delays afftdn 600,
#   dialoguenhance 1536, superequalizer 4095, afwtdn 0
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check av==18.1.0 numpy==2.3.5

"$work/env/bin/python" - << 'PYTHON'
from fractions import Fraction

import av
import numpy as np
from av.filter import Graph

RATE, BLOCK = 24_000, 480
time = np.arange(2 * RATE) / RATE
sweep = (0.5 * np.sin(2 * np.pi * (200 * time + 300 * time**2))).astype(np.float32)


def filtered(name: str) -> tuple[int, np.ndarray]:
    """The first time stamp, and all samples, behind a filter."""
    graph = Graph()
    source = graph.add_abuffer(sample_rate=RATE, format="flt", layout="mono", time_base=Fraction(1, RATE))
    node, sink = graph.add(name), graph.add("abuffersink")
    source.link_to(node)
    node.link_to(sink)
    graph.configure()
    frames = []
    for start in [*range(0, len(sweep), BLOCK), None]:
        frame = None
        if start is not None:
            frame = av.AudioFrame.from_ndarray(sweep[None, start : start + BLOCK], format="flt", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        graph.push(frame)
        while True:
            try:
                frames.append(graph.pull())
            except (av.BlockingIOError, av.EOFError):
                break
    return frames[0].pts, np.concatenate([frame.to_ndarray()[0] for frame in frames])


def delay(output: np.ndarray) -> int:
    """The shift at which the output looks most like the input."""
    size = 2 * len(sweep)
    likeness = np.fft.irfft(np.fft.rfft(output, size) * np.conj(np.fft.rfft(sweep, size)))
    return int(np.argmax(np.abs(likeness[: len(sweep)])))


delays = {}
for name in ("afftdn", "dialoguenhance", "superequalizer", "afwtdn"):
    start, output = filtered(name)
    delays[name] = delay(output)
    print(f"{name}: {len(output)} of {len(sweep)} samples, the first at {start}, delay {delays[name]}")
    assert (start, len(output)) == (0, len(sweep))
assert min(delays["afftdn"], delays["dialoguenhance"], delays["superequalizer"]) > RATE // 50
assert delays["afwtdn"] == 0
PYTHON
