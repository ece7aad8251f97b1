#!/usr/bin/env bash
# Package: tritonserver 2.51 (24.10, from nvidia-pytriton 0.7.0)
# Behaviour: for a decoupled model that answers from a thread, the time of an inference in /stats and /metrics is that
#   of execute(), which only takes the request. Making the answers is not in it.
# A good guess: an inference lasts until its final answer is sent.
# Seen 2026-11-28: the client waited 1.02 s; counted: 1 inference of 0.13 s
set -euo pipefail
# shellcheck source=findings/lib/triton.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/triton.sh"

install numpy==1.26.4
model echo 'input [{ name: "x", data_type: TYPE_FP32, dims: [-1] }]
output [{ name: "y", data_type: TYPE_FP32, dims: [-1] }]
model_transaction_policy { decoupled: true }' << 'PYTHON'
import threading
import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
            threading.Thread(target=self.answer, args=(request.get_response_sender(), x)).start()

    def answer(self, sender, x):
        time.sleep(1)  # the work
        answer = pb_utils.InferenceResponse([pb_utils.Tensor("y", x)])
        sender.send(answer, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
PYTHON
serve

"$python" - << 'PYTHON'
import json
import os
import time
import urllib.request

URL = f"http://{os.environ['HTTP']}/v2/models/echo"
started = time.monotonic()
request = urllib.request.Request(f"{URL}/generate_stream", json.dumps({"x": [1.0]}).encode())
answer = urllib.request.urlopen(request).read()
took = time.monotonic() - started
stats = json.load(urllib.request.urlopen(f"{URL}/stats"))["model_stats"][0]["inference_stats"]
counted = stats["success"]["ns"] / 1e9
print(f"the client waited {took:.2f} s for {answer!r}; counted: {stats['success']['count']} inference of {counted:.2f} s")
assert took > 1
assert counted < 0.5
PYTHON
