#!/usr/bin/env bash
# Package: tritonserver 2.51 (24.10, from nvidia-pytriton 0.7.0)
# Behaviour: when the Python object of a metric's family is garbage-collected, its metrics disappear from /metrics,
#   and incrementing one that the model still holds fails.
# A good guess: a metric keeps its family alive, or the registry does, as in prometheus_client.
# Seen 2026-11-28: dropped 500 "... the corresponding 'MetricFamily' has been deleted ..."; only kept_requests 1 in
#   /metrics
set -euo pipefail
# shellcheck source=findings/lib/triton.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/triton.sh"

install numpy==1.26.4
for name in kept dropped; do
    model $name 'input [{ name: "x", data_type: TYPE_FP32, dims: [-1] }]
output [{ name: "y", data_type: TYPE_FP32, dims: [-1] }]' << 'PYTHON'
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        name = args["model_name"]
        family = pb_utils.MetricFamily(f"{name}_requests", "Requests", pb_utils.MetricFamily.COUNTER)
        self.requests = family.Metric(labels={})
        self.family = family if name == "kept" else None

    def execute(self, requests):
        self.requests.increment(len(requests))
        x = [pb_utils.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", value)]) for value in x]
PYTHON
done
serve

"$python" - << 'PYTHON'
import json
import os
import urllib.error
import urllib.request

BODY = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]}).encode()
for name in ("kept", "dropped"):
    try:
        urllib.request.urlopen(f"http://{os.environ['HTTP']}/v2/models/{name}/infer", BODY).read()
    except urllib.error.HTTPError as error:
        print(name, error.code, error.read().decode()[:200])
metrics = urllib.request.urlopen(f"http://{os.environ['METRICS']}/metrics").read().decode()
print([line for line in metrics.splitlines() if line.startswith(("kept", "dropped"))])
assert "kept_requests 1" in metrics
assert "dropped_requests" not in metrics
PYTHON
