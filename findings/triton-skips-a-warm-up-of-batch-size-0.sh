#!/usr/bin/env bash
# Package: tritonserver 2.51 (24.10, from nvidia-pytriton 0.7.0)
# Behaviour: a model_warmup with batch_size: 0 is accepted and not run, without an error in the log, although
#   max_batch_size: 0 is how a model without batching is configured. It takes batch_size: 1.
# A good guess: a model that does not batch is warmed up with batch_size: 0, or the configuration is refused.
# Seen 2026-11-28: only "warm1 was called" in the log; both models loaded
set -euo pipefail
# shellcheck source=findings/lib/triton.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/triton.sh"

install numpy==1.26.4
for size in 0 1; do
    model warm$size 'input [{ name: "x", data_type: TYPE_FP32, dims: [-1] }]
output [{ name: "y", data_type: TYPE_FP32, dims: [-1] }]
model_warmup [{ name: "one", batch_size: '$size', inputs: { key: "x", value: { data_type: TYPE_FP32, dims: [2], zero_data: true } } }]' << 'PYTHON'
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.name = args["model_name"]

    def execute(self, requests):
        pb_utils.Logger.log_info(f"{self.name} was called")
        x = [pb_utils.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", value)]) for value in x]
PYTHON
done
serve

grep -E "was called|warm" "$work/log" | grep -v "loading:\|READY" | cut -c1-200
grep -q "warm1 was called" "$work/log"
if grep -q "warm0 was called" "$work/log"; then exit 1; fi
