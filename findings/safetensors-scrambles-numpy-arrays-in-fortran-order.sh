#!/usr/bin/env bash
# Package: safetensors 0.8.0 beside 0.7.0, numpy 2.3.5
# Behaviour: safetensors.numpy saves the memory of an array as it lies, under the shape of the array. A transposed array,
#   or another one in Fortran order, is read back with its numbers in wrong places. Version 0.7.0 saved it right. The
#   documentation asks for contiguous arrays, but nothing checks, and the size of the data is as expected.
# A good guess: an array comes back as it was saved, or an error says that it cannot be saved.
# Seen 2026-11-30: [[0, 1, 2], [3, 4, 5]] in Fortran order: 0.7.0 gives it back, 0.8.0 gives [[0, 3, 1], [4, 2, 5]]
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for version in 0.7.0 0.8.0; do
    python3 -m venv --without-pip "$work/$version"
    python3 -m pip --python "$work/$version" install --quiet --no-compile --disable-pip-version-check "safetensors==$version" numpy==2.3.5

    "$work/$version/bin/python" - << 'PYTHON'
import numpy as np
from safetensors import __version__
from safetensors.numpy import load, save

rows = np.arange(6, dtype=np.float32).reshape(2, 3)
read = load(save({"rows": rows, "fortran": np.asfortranarray(rows)}))
print(__version__, {name: array.tolist() for name, array in sorted(read.items())})
assert np.array_equal(read["rows"], rows)
if __version__ == "0.7.0":
    assert np.array_equal(read["fortran"], rows)
else:
    assert read["fortran"].tolist() == [[0, 3, 1], [4, 2, 5]]
PYTHON
done
