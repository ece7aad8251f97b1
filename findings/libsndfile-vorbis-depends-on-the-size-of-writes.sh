#!/usr/bin/env bash
# Package: soundfile 0.14.0 (libsndfile 1.2.2), numpy 2.3.5
# Behaviour: the same samples written to Ogg Vorbis in blocks of another size decode to other samples.
# A good guess: an encoder buffers its input, so the size of a write changes nothing (as with FLAC).
# Seen 2026-11-28: no difference with the same blocks, up to 0.0078 with others, for samples of up to 0.3
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check soundfile==0.14.0 numpy==2.3.5

"$work/env/bin/python" - << 'PYTHON'
import io

import numpy as np
import soundfile


def vorbis(samples: np.ndarray, block: int) -> bytes:
    """Ogg Vorbis, written in blocks of some frames."""
    content = io.BytesIO()
    with soundfile.SoundFile(content, "w", 24_000, 1, format="OGG", subtype="VORBIS") as file:
        for start in range(0, len(samples), block):
            file.write(samples[start : start + block])
    return content.getvalue()


def read(content: bytes) -> np.ndarray:
    return soundfile.read(io.BytesIO(content))[0]


t = np.arange(96_000) / 24_000
samples = (0.3 * np.sin(2 * np.pi * 220 * t * (1 + t / 20))).astype(np.float32)

blocks, again, others = (read(vorbis(samples, block)) for block in (4096, 4096, 1000))
print("same blocks:", np.abs(blocks - again).max(), "other blocks:", np.abs(blocks - others).max())
assert np.array_equal(blocks, again)
assert np.abs(blocks - others).max() > 1e-4
PYTHON
