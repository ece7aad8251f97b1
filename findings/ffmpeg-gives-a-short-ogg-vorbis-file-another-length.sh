#!/usr/bin/env bash
# Package: av 18.1.0 (FFmpeg 8.1.2 in its wheel), soundfile 0.14.0 (libsndfile 1.2.2), miniaudio 1.71, numpy 2.3.5
# Behaviour: FFmpeg cuts Ogg Vorbis whose sound is one page, here up to three seconds, at another place than the file
#   says: some files lose up to 11 ms of sound at their end, others get up to 20 ms more. It depends on the sound. The
#   samples before are right, and so are longer files. libsndfile and miniaudio give the length of the file.
# A good guess: every decoder gives the number of samples that the last page says, which the container shows as the
#   duration in FFmpeg too.
# Seen 2026-11-30: of 12 000 samples FFmpeg gives 11 744 for a tone of 440 Hz and 12 416 for one of 1 kHz, 47 744 and
#   48 128 of 48 000, 120 000 of 120 000; the others always as many as were written
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check \
  av==18.1.0 soundfile==0.14.0 miniaudio==1.71 numpy==2.3.5

"$work/env/bin/python" - << 'PYTHON'
import io

import av
import miniaudio
import numpy as np
import soundfile

RATE = 24_000
lengths = {}
for seconds in (0.5, 2.0, 5.0):
    for hertz in (440, 1000):
        time = np.arange(int(seconds * RATE)) / RATE
        file = io.BytesIO()
        soundfile.write(file, 0.4 * np.sin(2 * np.pi * hertz * time), RATE, format="OGG", subtype="VORBIS")
        content = file.getvalue()
        libsndfile = soundfile.read(io.BytesIO(content), dtype="float32")[0]
        mini = miniaudio.decode(content, miniaudio.SampleFormat.FLOAT32, nchannels=1, sample_rate=RATE).num_frames
        with av.open(io.BytesIO(content)) as container:
            duration = container.duration / av.time_base
            ffmpeg = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
        both = min(len(ffmpeg), len(time))
        print(
            f"{hertz} Hz, {content.count(b'OggS')} pages, written {len(time)}: libsndfile {len(libsndfile)},"
            f" miniaudio {mini}, FFmpeg {len(ffmpeg)} with duration {duration}"
        )
        assert len(libsndfile) == mini == len(time)
        assert duration == seconds
        assert np.abs(ffmpeg[:both] - libsndfile[:both]).max() < 1e-5
        lengths[seconds, hertz] = len(ffmpeg) - len(time)
assert lengths[0.5, 440] < 0 < lengths[0.5, 1000]
assert lengths[2.0, 440] < 0 < lengths[2.0, 1000]
assert lengths[5.0, 440] == lengths[5.0, 1000] == 0
PYTHON
