#!/usr/bin/env bash
# Package: tritonclient 2.73.0, tritonserver 2.51 (24.10, from nvidia-pytriton 0.7.0)
# Behaviour: when a request on a gRPC stream fails, the server sends the error with the id of its request; the
#   client's callback gets an exception without it. With several requests on one stream, nothing says which one
#   failed.
# A good guess: the id comes back with every answer, errors included.
# Seen 2026-11-28: good -> 'good', bad -> 'negative'; the server's own message: 'negative' id 'bad'
set -euo pipefail
# shellcheck source=findings/lib/triton.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/triton.sh"

install numpy==1.26.4 'tritonclient[grpc]==2.73.0'
model echo 'input [{ name: "x", data_type: TYPE_FP32, dims: [-1] }]
output [{ name: "y", data_type: TYPE_FP32, dims: [-1] }]
model_transaction_policy { decoupled: true }' << 'PYTHON'
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
            answer = pb_utils.InferenceResponse(
                [pb_utils.Tensor("y", x)], error=pb_utils.TritonError("negative") if x[0] < 0 else None
            )
            sender.send(answer, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
PYTHON
serve

"$python" - << 'PYTHON'
import os
import queue

import grpc
import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc

answers: queue.Queue = queue.Queue()
client = triton.InferenceServerClient(os.environ["GRPC"])
client.start_stream(lambda result, error: answers.put((result, error)))
for name, value in (("good", 1.0), ("bad", -1.0)):
    x = triton.InferInput("x", [1], "FP32")
    x.set_data_from_numpy(np.array([value], np.float32))
    client.async_stream_infer("echo", [x], request_id=name)
    result, error = answers.get(timeout=30)
    message = result.get_response() if result is not None else error
    print(name, "->", repr(message.id) if result is not None else repr(str(message)))
    if name == "good":
        assert message.id == "good"
    else:
        assert error is not None
        assert "bad" not in repr(vars(error))
client.stop_stream()

request = service_pb2.ModelInferRequest(model_name="echo", id="bad")
request.inputs.add(name="x", datatype="FP32", shape=[1])
request.raw_input_contents.append(np.array([-1], np.float32).tobytes())
with grpc.insecure_channel(os.environ["GRPC"]) as channel:
    (answer,) = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer(iter([request]))
print("the server's own message:", repr(answer.error_message), "id", repr(answer.infer_response.id))
assert (answer.error_message, answer.infer_response.id) == ("negative", "bad")
PYTHON
