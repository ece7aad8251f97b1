"""Calling Triton models from asyncio: the orchestrator's `Caller` in production."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import triton_python_backend_utils as pb_utils

from bark_serving.arrays import Array
from bark_serving.errors import from_wire
from bark_serving.triton.tensors import tensor


class BlsCaller:
    """Blocking BLS calls on a pool of threads: measured faster than ``async_exec``, and not capped by cores."""

    def __init__(self, *, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="bls")

    async def call(
        self, model: str, inputs: dict[str, Array], outputs: list[str], *, request_id: str = ""
    ) -> dict[str, Array]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._exec, model, inputs, outputs, request_id)

    def post(self, model: str, inputs: dict[str, Array], outputs: list[str], *, request_id: str) -> None:
        # A thread of its own: the pool may be full of the very calls that this one is to stop.
        stopper = ThreadPoolExecutor(1, thread_name_prefix="bls-post")
        stopper.submit(self._exec, model, inputs, outputs, request_id)
        stopper.shutdown(wait=False)

    def close(self) -> None:
        self._pool.shutdown()

    @staticmethod
    def _exec(model: str, inputs: dict[str, Array], outputs: list[str], request_id: str) -> dict[str, Array]:
        request = pb_utils.InferenceRequest(
            model_name=model,
            requested_output_names=outputs,
            inputs=[tensor(name, array) for name, array in inputs.items()],
            request_id=request_id,
        )
        answer = request.exec()
        if answer.has_error():
            raise from_wire(answer.error().message())
        return {name: pb_utils.get_output_tensor_by_name(answer, name).as_numpy() for name in outputs}
