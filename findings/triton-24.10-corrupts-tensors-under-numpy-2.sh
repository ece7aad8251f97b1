#!/usr/bin/env bash
# Package: tritonserver 2.51 (24.10, from nvidia-pytriton 0.7.0), numpy 2.3.5
# Behaviour: with NumPy 2 in its environment, the Python backend of this release hands models wrong values, without an
#   error.
# A good guess: an extension built for NumPy 1 refuses to load under NumPy 2.
# Seen 2026-11-28: sent [1.0, 2.0, 3.0, 4.0]: received [1.0, 1.0, 1.0, 1.0]
set -euo pipefail
# shellcheck source=findings/lib/triton.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/triton.sh"

install numpy==2.3.5
model echo 'input [{ name: "x", data_type: TYPE_FP32, dims: [-1] }]
output [{ name: "y", data_type: TYPE_FP32, dims: [-1] }]' << 'PYTHON'
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
            # As an error's text, since it does not pass through NumPy on its way back.
            answers.append(pb_utils.InferenceResponse(error=pb_utils.TritonError(f"received {x.tolist()}")))
        return answers
PYTHON
serve

"$python" - << 'PYTHON'
import json
import os
import urllib.error
import urllib.request

request = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [4], "data": [1, 2, 3, 4]}]}
try:
    urllib.request.urlopen(f"http://{os.environ['HTTP']}/v2/models/echo/infer", json.dumps(request).encode())
except urllib.error.HTTPError as error:
    answer = json.load(error)["error"]
print("sent [1.0, 2.0, 3.0, 4.0]:", answer)
assert answer.startswith("received")
assert "[1.0, 2.0, 3.0, 4.0]" not in answer
PYTHON
