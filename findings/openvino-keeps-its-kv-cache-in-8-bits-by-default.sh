#!/usr/bin/env bash
# Package: openvino 2026.4.1 (CPU)
# Behaviour: a model's KV cache is kept in unsigned 8-bit integers unless asked otherwise, also for a model in FP32.
# A good guess: an inference engine keeps the precision of the model; quantisation is something one asks for.
# Seen 2026-11-28: KV_CACHE_PRECISION: uint8_t
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check openvino==2026.4.1 numpy==2.3.5

"$work/env/bin/python" - << 'PYTHON'
import openvino

print("KV_CACHE_PRECISION:", openvino.Core().get_property("CPU", "KV_CACHE_PRECISION"))
assert openvino.Core().get_property("CPU", "KV_CACHE_PRECISION") == openvino.Type.u8
PYTHON
