#!/usr/bin/env bash
# Package: tinytag 2.3.2, av 18.1.0 (FFmpeg 8.1.2 in its wheel), numpy 2.3.5
# Behaviour: tinytag takes AAC in ADTS, the form of a file named .aac, for an MP3, whose frames begin with the same
#   bits. It answers without an error, with a length, a rate and a number of channels that have nothing to do with the
#   file. AAC in MP4 is right, and for other formats that it does not know tinytag raises an error.
# A good guess: a format that is not among the supported ones is an UnsupportedFormatError, as it is for AU.
# Seen 2026-11-30: 40 s at 24 kHz and mono are 0.144 s at 8 kHz and stereo; as MP4 40 s, 24 kHz, mono
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check tinytag==2.3.2 av==18.1.0 \
  numpy==2.3.5

cd "$work"
"$work/env/bin/python" - << 'PYTHON'
import av
import numpy as np
from tinytag import TinyTag, UnsupportedFormatError

RATE, SECONDS = 24_000, 40
time = np.arange(RATE * SECONDS) / RATE
sound = (0.5 * np.sin(2 * np.pi * 440 * time) * (time < SECONDS / 2)).astype(np.float32)

found = {}
for name, codec in (("speech.aac", "aac"), ("speech.mp4", "aac"), ("speech.au", "pcm_mulaw")):
    with av.open(name, "w", format="adts" if name.endswith("aac") else None) as container:
        stream = container.add_stream(codec, rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        converted = av.AudioResampler(stream.format.name, "mono", RATE).resample(frame)
        for part in [*converted, None]:
            container.mux(stream.encode(part))
    try:
        tag = TinyTag.get(name)
        found[name] = round(tag.duration, 3), tag.samplerate, tag.channels
    except UnsupportedFormatError as error:
        found[name] = type(error).__name__
    print(name, found[name])
assert found["speech.aac"][0] < 1
assert found["speech.aac"][1:] != (RATE, 1)
assert abs(found["speech.mp4"][0] - SECONDS) < 0.1
assert found["speech.mp4"][1:] == (RATE, 1)
assert found["speech.au"] == "UnsupportedFormatError"
PYTHON
