#!/usr/bin/env bash
# Package: soundfile 0.14.0 (libsndfile 1.2.2), numpy 2.3.5
# Behaviour: two Ogg Vorbis files one after another are one valid, chained file. libsndfile reads the first and
#   reports its length as the whole.
# A good guess: chaining is part of the Ogg standard, so all links are read, or an error says that there are more.
# Seen 2026-11-28: 96 000 frames of one link, 96 000 of two
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

first = vorbis(samples, 4096)
chained = read(first + vorbis(samples, 4096))
print("one link:", len(read(first)), "frames; two links:", len(chained), "frames")
assert len(chained) == len(samples)
PYTHON
