#!/usr/bin/env bash
# Package: tritonserver 2.51 (24.10, from nvidia-pytriton 0.7.0)
# Behaviour: a BYTES output that is not UTF-8 is copied into the JSON answer as it is, so the answer is no JSON: no
#   error, no base64.
# A good guess: bytes are refused in JSON or encoded, since the protocol has a binary form for them.
# Seen 2026-11-28: 200 application/json, with "data":["\xff\u0000\xfe"] in raw bytes; 'utf-8' codec can't decode byte
#   0xff
set -euo pipefail
# shellcheck source=findings/lib/triton.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/triton.sh"

install numpy==1.26.4
model echo 'input [{ name: "x", data_type: TYPE_FP32, dims: [-1] }]
output [{ name: "y", data_type: TYPE_STRING, dims: [-1] }]' << 'PYTHON'
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", np.array([b"\xff\x00\xfe"], object))]) for _ in requests]
PYTHON
serve

"$python" - << 'PYTHON'
import json
import os
import urllib.request

request = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]}
with urllib.request.urlopen(f"http://{os.environ['HTTP']}/v2/models/echo/infer", json.dumps(request).encode()) as answer:
    status, kind, body = answer.status, answer.headers["Content-Type"], answer.read()
print(status, kind, body[-40:])
assert (status, kind) == (200, "application/json")
try:
    json.loads(body)
except UnicodeDecodeError as error:
    print(error)
else:
    raise SystemExit("the answer is JSON")
PYTHON
