#!/usr/bin/env bash
# Package: av 18.1.0 (FFmpeg 8.1.2 in its wheel), numpy 2.3.5
# Behaviour: the level of a mix to mono depends on the sample format that is asked for. As int16 or int32, mono is the
#   mean of left and right. As float it is 3 dB more, so a loud recording goes above full scale. Mono to stereo is 3 dB
#   less in every format, so there and back gives the same level in float, and 3 dB less in int16.
# A good guess: the sample format changes the precision of a mix, not its level, and mono to stereo copies the samples.
# Seen 2026-11-30: 0.8 on both channels becomes 0.8 as s16p and s32p, 1.1314 as fltp; mono 0.8 becomes stereo 0.5657;
#   there and back 0.5657 as s16p, 0.8 as fltp
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check av==18.1.0 numpy==2.3.5

"$work/env/bin/python" - << 'PYTHON'
import av
import numpy as np

RATE, LEVEL = 24_000, 0.8
TYPES = {"s16p": (np.int16, 2**15), "s32p": (np.int32, 2**31), "fltp": (np.float32, 1)}


def frame(layout: str, channels: int) -> av.AudioFrame:
    """10 ms of int16 samples that are all at LEVEL."""
    samples = np.full((channels, RATE // 100), LEVEL * 2**15).astype(np.int16)
    made = av.AudioFrame.from_ndarray(samples, format="s16p", layout=layout)
    made.sample_rate = RATE
    return made


def level(frame: av.AudioFrame, form: str, *layouts: str) -> float:
    """The level behind mixes to some layouts, one after the other, with samples of one format."""
    for layout in layouts:
        (frame,) = av.AudioResampler(form, layout, RATE).resample(frame)
    return round(float(frame.to_ndarray()[0, 100]) / TYPES[form][1], 4)


down, up, back = {}, {}, {}
for form in TYPES:
    down[form] = level(frame("stereo", 2), form, "mono")
    up[form] = level(frame("mono", 1), form, "stereo")
    back[form] = level(frame("mono", 1), form, "stereo", "mono")
print("stereo to mono", down)
print("mono to stereo", up)
print("there and back", back)
assert down == {"s16p": 0.8, "s32p": 0.8, "fltp": 1.1314}
assert set(up.values()) == {0.5657}
assert back == {"s16p": 0.5657, "s32p": 0.5657, "fltp": 0.8}
PYTHON
