#!/usr/bin/env bash
# Package: soxr 1.1.0, numpy 2.3.5
# Behaviour: a signal resampled in blocks of any size equals the signal resampled at once, bit for bit; no cross-fade
#   or padding is needed. The first 20 ms give nothing yet.
# A good guess: blocks agree up to rounding, after a delay to be cut off by hand.
# Seen 2026-11-28: equal for blocks of 480, 1 000 and 7 777 samples; 480 samples (20 ms) give 0 samples at first
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check soxr==1.1.0 numpy==2.3.5

"$work/env/bin/python" - << 'PYTHON'
import numpy as np
import soxr

signal = np.random.default_rng(0).standard_normal(48_000).astype(np.float32)
whole = soxr.resample(signal, 24_000, 16_000, "HQ")
for block in (480, 1_000, 7_777):
    stream = soxr.ResampleStream(24_000, 16_000, 1, dtype="float32", quality="HQ")
    starts = range(0, len(signal), block)
    parts = [stream.resample_chunk(signal[i : i + block], last=i + block >= len(signal)) for i in starts]
    equal = np.array_equal(np.concatenate(parts), whole)
    print(f"blocks of {block}: equal {equal}, first answers of {[len(part) for part in parts[:4]]} samples")
    assert equal
    assert block > 480 or len(parts[0]) == 0
PYTHON
