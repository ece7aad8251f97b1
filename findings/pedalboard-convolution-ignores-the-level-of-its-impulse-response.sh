#!/usr/bin/env bash
# Package: pedalboard 0.9.26, numpy 2.3.5
# Behaviour: Convolution scales each impulse response to one fixed energy (1/64), so its level has no effect. An impulse
#   of 1, which ought to change nothing, makes the sound 18 dB quieter, and so do impulses of 0.5 and of 2.
# A good guess: a convolution with one sample of 1.0 gives the input, one with 0.5 gives half of it.
# Seen 2026-11-30: gains 0.125 for the responses [1], [0.5], [2]; 0.0625 for the first sample of four equal ones
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check pedalboard==0.9.26 numpy==2.3.5

"$work/env/bin/python" - << 'PYTHON'
import numpy as np
from pedalboard import Convolution

RATE = 24_000
signal = np.random.default_rng(0).uniform(-0.5, 0.5, RATE).astype(np.float32)

gains = {}
for response in ([1.0], [0.5], [2.0], [1.0, 1.0, 1.0, 1.0]):
    output = Convolution(np.array(response, dtype=np.float32), mix=1.0, sample_rate=RATE)(signal, RATE)
    expected = np.convolve(signal, response)[: len(signal)]
    gains[tuple(response)] = float(np.dot(output, expected) / np.dot(expected, expected)) * response[0]
    print(response, f"first sample acts as {gains[tuple(response)]:.4f}")
for response, gain in gains.items():
    assert abs(gain - 0.125 / len(response) ** 0.5) < 1e-3
PYTHON
