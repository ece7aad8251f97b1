#!/usr/bin/env bash
# Package: miniaudio 1.71, soundfile 0.14.0, soxr 1.0.0, numpy 2.3.5
# Behaviour: miniaudio resamples by linear interpolation behind a weak filter. What is above half the new rate stays
#   and is folded down into the band of speech: from 48 kHz to 16 kHz, 9 kHz comes out as 7 kHz and half as loud. High
#   sound that belongs there gets quieter. Reading a file at another rate than its own always does this.
# A good guess: a decoder that is asked for 16 kHz takes away what 16 kHz cannot hold, as other resamplers do.
# Seen 2026-11-30: gains 4 kHz 1.00, 7 kHz 0.88, 9 kHz 0.49 (as 7 kHz), 10 kHz 0.31 (as 6 kHz), 12 kHz 0.11 (as 4 kHz);
#   soxr 1.00, 1.00, 0.00, 0.00 and 0.00
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check \
  miniaudio==1.71 soundfile==0.14.0 soxr==1.0.0 numpy==2.3.5

"$work/env/bin/python" - << 'PYTHON'
import io

import miniaudio
import numpy as np
import soundfile
import soxr

RATE, TARGET, PEAK = 48_000, 16_000, 0.5


def strongest(samples: np.ndarray) -> tuple[int, float]:
    """The frequency that is strongest in one second of sound, away from its ends, and its gain."""
    middle = samples[TARGET // 4 :][: TARGET // 2]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    return int(np.argmax(spectrum)) * 2, round(float(np.std(middle)) * 2**0.5 / PEAK, 2)


found = {}
for hertz in (4_000, 7_000, 9_000, 10_000, 12_000):
    tone = (PEAK * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE + 0.5)).astype(np.float32)
    file = io.BytesIO()
    soundfile.write(file, tone, RATE, format="WAV", subtype="FLOAT")
    decoded = miniaudio.decode(file.getvalue(), miniaudio.SampleFormat.FLOAT32, nchannels=1, sample_rate=TARGET)
    mini, reference = strongest(np.asarray(decoded.samples)), strongest(soxr.resample(tone, RATE, TARGET))
    found[hertz] = (*mini, reference[1])
    print(f"{hertz} Hz: miniaudio gives {mini[0]} Hz with gain {mini[1]}, soxr gain {reference[1]}")
assert [found[hertz][0] for hertz in found] == [4_000, 7_000, 7_000, 6_000, 4_000]
assert found[7_000][1] < 0.95 < found[7_000][2]
assert found[9_000][1] > 0.3
assert found[10_000][1] > 0.2
assert max(found[hertz][2] for hertz in (9_000, 10_000, 12_000)) < 0.01
PYTHON
