#!/usr/bin/env bash
# Package: numpy 2.3.5
# Behaviour: default_rng and SeedSequence fill a list of seeds up with zeros to four entries, so zeros at its end change
#   nothing: default_rng([7, 0]) and default_rng([7, 0, 0]) are default_rng(7). With a fifth entry the list is what spawn
#   makes: [7, 0, 0, 0, 0] is the first child of SeedSequence(7). Large seeds are taken apart in words of 32 bits:
#   default_rng(2**32 + 7) is default_rng([7, 1]).
# A good guess: other lists of seeds give other streams, so that [seed, sentence, step] needs no further care.
# Seen 2026-11-30: one stream for 7, [7], [7, 0], [7, 0, 0], [7, 0, 0, 0], another one for [0, 7]; one stream for
#   [7, 0, 0, 0, 0] and SeedSequence(7).spawn(1)[0], and one for 2**32 + 7 and [7, 1]
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check numpy==2.3.5

"$work/env/bin/python" - << 'PYTHON'
import numpy as np


def first(seed) -> float:
    return float(np.random.default_rng(seed).random())


groups = {
    "zeros at the end": [7, [7], [7, 0], [7, 0, 0], [7, 0, 0, 0]],
    "a zero in front": [[0, 7]],
    "a fifth entry": [[7, 0, 0, 0, 0], np.random.SeedSequence(7).spawn(1)[0]],
    "a large seed": [2**32 + 7, [7, 1]],
}
streams = {}
for name, seeds in groups.items():
    numbers = {first(seed) for seed in seeds}
    print(f"{name}: {len(seeds)} seeds, the first numbers of their streams are {numbers}")
    assert len(numbers) == 1
    streams[name] = numbers.pop()
assert len(set(streams.values())) == len(groups)
PYTHON
