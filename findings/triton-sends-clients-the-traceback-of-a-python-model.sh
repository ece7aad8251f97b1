#!/usr/bin/env bash
# Package: tritonserver 2.51 (24.10, from nvidia-pytriton 0.7.0)
# Behaviour: an exception in a Python model reaches the client with its traceback, file paths of the server included.
# A good guess: clients see the message or "internal error"; the traceback goes to the log.
# Seen 2026-11-28: "... ValueError: a message for the log At: /tmp/.../models/echo/1/model.py(3): execute"
set -euo pipefail
# shellcheck source=findings/lib/triton.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/triton.sh"

install numpy==1.26.4
model echo 'input [{ name: "x", data_type: TYPE_FP32, dims: [-1] }]
output [{ name: "y", data_type: TYPE_FP32, dims: [-1] }]' << 'PYTHON'
class TritonPythonModel:
    def execute(self, requests):
        raise ValueError("a message for the log")
PYTHON
serve

"$python" - << 'PYTHON'
import json
import os
import urllib.error
import urllib.request

request = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2]}]}
try:
    urllib.request.urlopen(f"http://{os.environ['HTTP']}/v2/models/echo/infer", json.dumps(request).encode())
except urllib.error.HTTPError as error:
    message = json.load(error)["error"]
print(message)
assert "a message for the log" in message
assert "/models/echo/1/model.py" in message
PYTHON
