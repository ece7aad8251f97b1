#!/usr/bin/env bash
# Package: tritonserver 2.51 (24.10, from nvidia-pytriton 0.7.0)
# Behaviour: when the process of a Python model is gone, server and model are reported as ready for good, each request
#   fails, and nothing starts the process again.
# A good guess: readiness turns false, or the server starts the process anew, as supervisors do.
# Seen 2026-11-28: request, model ready, server ready: before (200, 200, 200), 5 s after (500, 200, 200)
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
export WORK=$work

"$python" - << 'PYTHON'
import json
import os
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

MODEL = f"http://{os.environ['HTTP']}/v2/models/echo"
REQUEST = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2]}]}


def status(url: str, body: bytes | None = None) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def states() -> tuple[int, int, int]:
    infer = status(f"{MODEL}/infer", json.dumps(REQUEST).encode())
    return infer, status(f"{MODEL}/ready"), status(f"http://{os.environ['HTTP']}/v2/health/ready")


before = states()
stub = next(
    int(path.parent.name)
    for path in Path("/proc").glob("[0-9]*/cmdline")
    if b"triton_python_backend_stub" in path.read_bytes() and os.environ["WORK"].encode() in path.read_bytes()
)
os.kill(stub, signal.SIGKILL)
time.sleep(5)  # time for a supervisor to notice
after = states()
print("request, model ready, server ready: before", before, "after", after)
assert before == (200, 200, 200)
assert after == (500, 200, 200)
PYTHON
