"""Calls the stages of a running server one by one, over gRPC."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from bark_serving.arrays import Array
from bark_serving.errors import from_wire


class GrpcCaller:
    """A `stage_client.Caller` over gRPC. (The orchestrator calls the stages through Triton's BLS instead.)"""

    def __init__(self, url: str) -> None:
        self._client = grpc.InferenceServerClient(url)

    def __enter__(self) -> GrpcCaller:
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.close()

    async def call(
        self, model: str, inputs: dict[str, Array], outputs: list[str], *, request_id: str = ""
    ) -> dict[str, Array]:
        return await asyncio.to_thread(self._call, model, inputs, outputs, request_id)

    def post(self, model: str, inputs: dict[str, Array], outputs: list[str], *, request_id: str) -> None:
        self._call(model, inputs, outputs, request_id)

    def _call(self, model: str, inputs: dict[str, Array], outputs: list[str], request_id: str) -> dict[str, Array]:
        tensors = [_input(name, np.ascontiguousarray(array)) for name, array in inputs.items()]
        requested = [grpc.InferRequestedOutput(name) for name in outputs]
        try:
            answer = self._client.infer(model, tensors, outputs=requested, request_id=request_id)
        except InferenceServerException as error:
            raise from_wire(str(error.message())) from error
        return {name: answer.as_numpy(name) for name in outputs}


def _input(name: str, array: Array) -> Any:
    tensor = grpc.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    tensor.set_data_from_numpy(array)
    return tensor
