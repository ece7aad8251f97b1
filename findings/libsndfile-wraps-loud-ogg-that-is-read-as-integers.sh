#!/usr/bin/env bash
# Package: soundfile 0.14.0 (libsndfile 1.2.2), numpy 2.3.5
# Behaviour: what a decoder gives for loud sound goes above full scale here and there. Read as int16, such samples of Ogg
#   Vorbis and Ogg Opus wrap round to the other sign: loud clicks, without an error. Those of MP3 are clipped.
# A good guess: the conversion to integers clips in every format, as it does for MP3.
# Seen 2026-11-30: of 48 000 samples, above full scale in VORBIS 149, OPUS 9804, MP3 2703; with the wrong sign 149, 9802
#   and 0
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check soundfile==0.14.0 numpy==2.3.5

"$work/env/bin/python" - << 'PYTHON'
import io

import numpy as np
import soundfile

RATE = 24_000
time = np.arange(2 * RATE) / RATE
loud = np.clip(10 * np.sin(2 * np.pi * 200 * time), -0.95, 0.95)  # within full scale, as after a hard limiter

above, wrapped = {}, {}
for container, subtype in (("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")):
    content = io.BytesIO()
    soundfile.write(content, loud, RATE, format=container, subtype=subtype)
    floats, integers = (
        soundfile.read(io.BytesIO(content.getvalue()), dtype=dtype)[0] for dtype in ("float32", "int16")
    )
    above[subtype] = int((np.abs(floats * 32768.0) > 32768).sum())
    wrapped[subtype] = int((np.abs(floats * 32768.0 - integers) > 32768).sum())
print(f"of {len(loud)} samples above full scale: {above}; with the wrong sign: {wrapped}")
assert min(above.values()) > 50
assert min(wrapped["VORBIS"], wrapped["OPUS"]) > 50
assert wrapped["MPEG_LAYER_III"] == 0
PYTHON
