#!/usr/bin/env bash
# Package: tritonserver 2.51 (24.10, from nvidia-pytriton 0.7.0)
# Behaviour: over HTTP, /generate answers 200 OK with {"error": ...} in its body when a decoupled model sends two
#   answers instead of one. An error of the model itself has status 400.
# A good guess: an error has a status of 400 or more.
# Seen 2026-11-28: 1 answer: 200; an error: 400; 2 answers: 200 {'error': 'generate expects model to produce exactly 1
#   response, ...'}
set -euo pipefail
# shellcheck source=findings/lib/triton.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/triton.sh"

install numpy==1.26.4
model counts 'input [{ name: "x", data_type: TYPE_FP32, dims: [-1] }]
output [{ name: "y", data_type: TYPE_FP32, dims: [-1] }]
model_transaction_policy { decoupled: true }' << 'PYTHON'
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """As many answers as its input says; none is an error."""

    def execute(self, requests):
        for request in requests:
            sender, x = request.get_response_sender(), pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
            for _ in range(int(x[0])):
                sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("y", x)]))
            if x[0] == 0:
                sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError("nothing to answer")))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
PYTHON
serve

"$python" - << 'PYTHON'
import json
import os
import urllib.error
import urllib.request


def generate(count: int) -> tuple[int, dict]:
    request = json.dumps({"x": [float(count)]}).encode()
    try:
        with urllib.request.urlopen(f"http://{os.environ['HTTP']}/v2/models/counts/generate", request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


for count, status, key in ((1, 200, "y"), (0, 400, "error"), (2, 200, "error")):
    answer = generate(count)
    print(count, "answers:", *answer)
    assert answer[0] == status
    assert key in answer[1]
PYTHON
