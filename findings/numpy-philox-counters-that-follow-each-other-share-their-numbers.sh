#!/usr/bin/env bash
# Package: numpy 2.3.5
# Behaviour: Philox(counter=k) and Philox(counter=k + 1) are one stream, four numbers apart; longer draws of two steps
#   overlap.
# A good guess: one counter per step gives independent streams, as one key per step does.
# Seen 2026-11-28: of 12 numbers each, the last 8 of counter 0 are the first 8 of counter 1
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check numpy==2.3.5

"$work/env/bin/python" - << 'PYTHON'
import numpy as np

first, second = (np.random.Generator(np.random.Philox(key=1, counter=k)).random(12) for k in (0, 1))
other = np.random.Generator(np.random.Philox(key=2, counter=0)).random(12)
print("counter 0:", first.round(3), "counter 1:", second.round(3), sep="\n")
assert np.array_equal(first[4:], second[:-4])
assert not np.isin(first, other).any()
PYTHON
