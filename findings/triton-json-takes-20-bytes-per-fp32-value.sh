#!/usr/bin/env bash
# Package: tritonserver 2.51 (24.10, from nvidia-pytriton 0.7.0)
# Behaviour: an FP32 output costs about 20 bytes per value in a JSON answer, since each is written as a double with
#   all its digits; the value itself has 4 bytes.
# A good guess: the shortest decimal that gives the same FP32 value, about 10 bytes.
# Seen 2026-11-28: 20.2 bytes per value, as in -0.4939819574356079
set -euo pipefail
# shellcheck source=findings/lib/triton.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/triton.sh"

install numpy==1.26.4
model echo 'input [{ name: "x", data_type: TYPE_FP32, dims: [-1] }]
output [{ name: "y", data_type: TYPE_FP32, dims: [-1] }]' << 'PYTHON'
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        x = [pb_utils.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", value)]) for value in x]
PYTHON
serve

"$python" - << 'PYTHON'
import json
import os
import struct
import urllib.request

values = [struct.unpack("f", struct.pack("f", (i % 997) / 997 - 0.5))[0] for i in range(10_000)]
request = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [len(values)], "data": values}]}
with urllib.request.urlopen(f"http://{os.environ['HTTP']}/v2/models/echo/infer", json.dumps(request).encode()) as answer:
    body = answer.read()
print(f"{len(body) / len(values):.1f} bytes per value, as in {body[200:260]!r}")
assert len(body) > 18 * len(values)
PYTHON
