#!/usr/bin/env bash
# Package: tritonserver 2.51 (24.10, from nvidia-pytriton 0.7.0)
# Behaviour: a Python model whose configuration declares a vector of FP32 as its output may answer with an INT64
#   matrix; it is passed on as such.
# A good guess: the server checks outputs against the configuration, as it checks inputs.
# Seen 2026-11-28: declared FP32 [-1], answered INT64 [1, 2]
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
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", value.astype("int64")[None])]) for value in x]
PYTHON
serve

"$python" - << 'PYTHON'
import json
import os
import urllib.request

URL = f"http://{os.environ['HTTP']}/v2/models/echo"
request = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2]}]}
declared = json.load(urllib.request.urlopen(URL))["outputs"]
answered = json.load(urllib.request.urlopen(f"{URL}/infer", json.dumps(request).encode()))["outputs"]
print("declared", declared, "answered", answered)
assert (declared[0]["datatype"], declared[0]["shape"]) == ("FP32", [-1])
assert (answered[0]["datatype"], answered[0]["shape"]) == ("INT64", [1, 2])
PYTHON
