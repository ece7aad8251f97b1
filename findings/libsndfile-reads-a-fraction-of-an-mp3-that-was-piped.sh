#!/usr/bin/env bash
# Package: soundfile 0.14.0 (libsndfile 1.2.2), numpy 2.3.5
# Behaviour: an MP3 written to a pipe lacks the Xing header. libsndfile guesses its length from the first frame's bit
#   rate, and reading stops there, without an error.
# A good guess: reading goes on while there are frames; a wrong guess costs only seeking.
# Seen 2026-11-28: 23 616 of 288 000 frames read; all 288 000 of a file that was not piped
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check soundfile==0.14.0 numpy==2.3.5

"$work/env/bin/python" - << 'PYTHON'
import io
import os
import threading

import numpy as np
import soundfile

samples = (0.3 * np.sin(np.arange(288_000) / 17)).astype(np.float32)
reading, writing = os.pipe()
written: list[bytes] = []
reader = threading.Thread(target=lambda: written.append(open(reading, "rb").read()))
reader.start()
with soundfile.SoundFile(writing, "w", 24_000, 1, format="MP3", closefd=True) as file:
    file.write(samples)
reader.join()
whole = io.BytesIO()
soundfile.write(whole, samples, 24_000, format="MP3")

piped, seekable = len(soundfile.read(io.BytesIO(written[0]))[0]), len(soundfile.read(io.BytesIO(whole.getvalue()))[0])
print(len(samples), "frames written; read from a file that was piped:", piped, "and from one that was not:", seekable)
assert seekable == len(samples)
assert piped < len(samples) / 2
PYTHON
