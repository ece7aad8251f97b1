#!/usr/bin/env bash
# Package: soundfile 0.14.0 (libsndfile 1.2.2), numpy 2.3.5
# Behaviour: a FLAC file written to a pipe has no length in its header. libsndfile reads the length as 2^63 - 1
#   frames, and reading in blocks ends in an error with samples missing instead of at the end.
# A good guess: "unknown" is a valid length in FLAC: the file reads to its end, as with other decoders.
# Seen 2026-11-28: a length of 9223372036854775807 frames; 286 720 of 288 000 frames, then "flac decoder lost sync"
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
with soundfile.SoundFile(writing, "w", 24_000, 1, format="FLAC", closefd=True) as file:
    file.write(samples)
reader.join()

file = soundfile.SoundFile(io.BytesIO(written[0]))
print("frames by its header:", file.frames, "written:", len(samples))
assert file.frames == 2**63 - 1
count = 0
try:
    while len(block := file.read(4096)):
        count += len(block)
except soundfile.LibsndfileError as error:
    print("frames read:", count, "then:", error)
else:
    raise SystemExit("the file was read to its end")
assert count < len(samples)
PYTHON
