#!/usr/bin/env bash
# Package: samplerate 0.2.4 (libsamplerate 0.2.2), numpy 2.3.5
# Behaviour: Resampler.process answers a block with at most ratio * len(block) samples, also when end_of_input is set.
#   What its filter still holds does not fit, and is lost: further calls with empty blocks give nothing. In blocks of
#   20 ms the end of every stream is cut, and end_of_input changes nothing.
# A good guess: end_of_input flushes the filter, so a stream is as long as the signal resampled at once.
# Seen 2026-11-30: 24 kHz to 16 kHz, at once 16 000 samples; in blocks of 480, 15 857 with end_of_input and without,
#   0 more from empty blocks. The samples that come are equal.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check samplerate==0.2.4 numpy==2.3.5

"$work/env/bin/python" - << 'PYTHON'
import numpy as np
import samplerate

RATIO, BLOCK = 16_000 / 24_000, 480
signal = np.random.default_rng(0).standard_normal(24_000).astype(np.float32)
whole = samplerate.resample(signal, RATIO, "sinc_best")


def stream(flush: bool) -> tuple[np.ndarray, int]:
    """The signal in blocks, and the number of samples that empty blocks add."""
    resampler = samplerate.Resampler("sinc_best", channels=1)
    starts = range(0, len(signal), BLOCK)
    parts = [resampler.process(signal[i : i + BLOCK], RATIO, flush and i == starts[-1]) for i in starts]
    empty = np.zeros(0, dtype=np.float32)
    return np.concatenate(parts), sum(len(resampler.process(empty, RATIO, flush)) for _ in range(5))


(flushed, more), (open_ended, _) = stream(True), stream(False)
print(f"at once {len(whole)}; with end_of_input {len(flushed)}, then {more}; without {len(open_ended)}")
assert len(whole) == 16_000
assert np.array_equal(flushed, whole[: len(flushed)])
assert more == 0
assert len(flushed) == len(open_ended) < len(whole) - 100
PYTHON
