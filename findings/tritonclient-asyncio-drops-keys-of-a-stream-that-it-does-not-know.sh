#!/usr/bin/env bash
# Package: tritonclient 2.73.0, tritonserver 2.51 (24.10, from nvidia-pytriton 0.7.0)
# Behaviour: the asyncio client takes each request of a stream as a dictionary and ignores keys that it does not know:
#   enable_empty_final_response, which the synchronous client obeys, and misspelt ones.
# A good guess: the two clients take the same options, and an unknown one raises.
# Seen 2026-11-28: answers with the empty final one asked for: synchronous client 2, asyncio client 1
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
            x = pb_utils.get_input_tensor_by_name(request, "x")
            sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("y", x.as_numpy())]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
PYTHON
serve

"$python" - << 'PYTHON'
import asyncio
import os
import queue

import numpy as np
import tritonclient.grpc as sync_triton
import tritonclient.grpc.aio as aio_triton


def inputs():
    x = sync_triton.InferInput("x", [1], "FP32")
    x.set_data_from_numpy(np.array([1], np.float32))
    return [x]


def synchronous() -> int:
    """Answers received, the empty final one included."""
    answers: queue.Queue = queue.Queue()
    with sync_triton.InferenceServerClient(os.environ["GRPC"]) as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        client.async_stream_infer("echo", inputs(), enable_empty_final_response=True)
        count, final = 0, False
        while not final:
            result, error = answers.get(timeout=30)
            assert error is None
            count += 1
            final = result.get_response().parameters["triton_final_response"].bool_param
        client.stop_stream()
    return count


async def asynchronous() -> int:
    async def requests():
        yield {"model_name": "echo", "inputs": inputs(), "enable_empty_final_response": True, "reqest_id": "misspelt"}

    async with aio_triton.InferenceServerClient(os.environ["GRPC"]) as client:
        return len([result async for result, error in client.stream_infer(requests())])


counts = synchronous(), asyncio.run(asynchronous())
print("answers with the empty final one asked for: synchronous client", counts[0], "asyncio client", counts[1])
assert counts == (2, 1)
PYTHON
