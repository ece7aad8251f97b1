#!/usr/bin/env bash
# Package: av 18.1.0 (FFmpeg 8.1.2), soundfile 0.14.0 (libsndfile 1.2.2), numpy 2.3.5
# Behaviour: FFmpeg loses samples at the end of lossless ALAC in a CAF file. The last packet holds what is left, less
#   than a full packet of 4096 samples; FFmpeg takes what it lacks off it once more. The same sound in MP4 is whole.
# A good guess: a lossless codec gives back every sample, in each container.
# Seen 2026-11-30: of 24 000 samples, 23 424 from FFmpeg's CAF, 23 424 from libsndfile's CAF, 24 000 from MP4;
#   libsndfile reads 24 000 from its CAF
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check av==18.1.0 soundfile==0.14.0 numpy==2.3.5

"$work/env/bin/python" - << 'PYTHON'
import io

import av
import numpy as np
import soundfile

RATE = 24_000
samples = np.random.default_rng(0).integers(-3_000, 3_000, RATE).astype(np.int16)


def encode(container: str) -> bytes:
    """ALAC by FFmpeg."""
    content = io.BytesIO()
    with av.open(content, "w", format=container) as file:
        stream = file.add_stream("alac", rate=RATE, layout="mono", format="s16p")
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            file.mux(packet)
    return content.getvalue()


def decode(content: bytes) -> np.ndarray:
    """Samples by FFmpeg."""
    with av.open(io.BytesIO(content)) as file:
        return np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])


other = io.BytesIO()
soundfile.write(other, samples, RATE, format="CAF", subtype="ALAC_16")
decoded = {
    "FFmpeg's CAF": decode(encode("caf")),
    "libsndfile's CAF": decode(other.getvalue()),
    "MP4": decode(encode("mp4")),
    "libsndfile's CAF by libsndfile": soundfile.read(io.BytesIO(other.getvalue()), dtype="int16")[0],
}
print({name: len(values) for name, values in decoded.items()})
for values in decoded.values():
    assert np.array_equal(values, samples[: len(values)])
missing = 4096 - len(samples) % 4096
assert [len(samples) - len(values) for values in decoded.values()] == [missing, missing, 0, 0]
PYTHON
