#!/usr/bin/env bash
# Package: av 18.1.0 (FFmpeg in its wheel), numpy 2.3.5
# Behaviour: a fragmented MP4 (empty_moov+default_base_moof) of audio alone is one fragment: a header leaves at once,
#   everything else at the end. It takes frag_duration as well.
# A good guess: these two flags, which streaming guides name, make fragments; their length has a default.
# Seen 2026-11-28: first audio after 10.00 s of 10; with frag_duration=100000 after 0.22 s
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check av==18.1.0 numpy==2.3.5

"$work/env/bin/python" - << 'PYTHON'
import av
import numpy as np

RATE, PIECE_S = 24_000, 0.02


class Sink:
    """Counts bytes, as they would leave to a listener. It cannot seek."""

    size = 0

    def write(self, data: bytes) -> int:
        self.size += len(data)
        return len(data)


def waiting_s(form: str, codec: str, **options: str) -> float:
    """Seconds of speech that go in before the first bytes of audio come out; all ten where none come before the end."""
    sink = Sink()
    container = av.open(sink, "w", format=form, options=options)
    stream = container.add_stream(codec, rate=RATE, layout="mono")
    samples = (0.3 * np.sin(np.arange(10 * RATE) / 17)).astype(np.float32)[None]
    size = int(RATE * PIECE_S)
    sizes = []
    for start in range(0, samples.shape[1], size):
        frame = av.AudioFrame.from_ndarray(samples[:, start : start + size], format="fltp", layout="mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        sizes.append(sink.size)
    container.mux(stream.encode(None))
    container.close()
    headers = next((size for size in sizes if size), 0)
    return next((index + 1 for index, size in enumerate(sizes) if size > headers), len(sizes)) * PIECE_S

FLAGS = "empty_moov+default_base_moof"
default, short = waiting_s("mp4", "aac", movflags=FLAGS), waiting_s("mp4", "aac", movflags=FLAGS, frag_duration="100000")
print(f"first audio after {default:.2f} s of 10; with frag_duration=100000 after {short:.2f} s")
assert default == 10
assert short < 0.5
PYTHON
