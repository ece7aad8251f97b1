#!/usr/bin/env bash
# Package: soundfile 0.14.0 (libsndfile 1.2.2), numpy 2.3.5
# Behaviour: after a seek in an Ogg Vorbis file, the samples are not those that reading from the start gives for the
#   same frames.
# A good guess: seek is exact to the sample in every format that says it is seekable.
# Seen 2026-11-28: differences of up to 0.39 for samples of up to 0.3
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

content = vorbis(samples, 4096)
whole, file = read(content), soundfile.SoundFile(io.BytesIO(content))
errors = {}
for position in range(0, 60_000, 5_000):
    file.seek(position)
    errors[position] = float(np.abs(file.read(2_000) - whole[position : position + 2_000]).max())
print(errors)
assert max(errors.values()) > 0.1
PYTHON
