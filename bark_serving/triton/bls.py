"""Calling Triton models from asyncio: the orchestrator's `Caller` in production."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future

import psutil
import triton_python_backend_utils as pb_utils

from bark_serving.arrays import Array
from bark_serving.errors import StageFailed, from_wire
from bark_serving.host.processes import is_running, running_stubs
from bark_serving.triton.tensors import tensor

SEARCH_INTERVAL_S = 0.1  #: between two searches for the processes of models
WATCH_INTERVAL_S = 1.0  #: between two checks whether the process that a call waits for still runs


class BlsCaller:
    """Blocking BLS calls, one thread per call: measured faster than ``async_exec``, and not limited by the cores.

    Triton (24.10) may never end a call. So the processes of the called model are watched. If none of them runs any
    more, the call fails here, and its thread is abandoned.
    """

    def __init__(self) -> None:
        self._stubs = _Stubs()

    async def call(
        self, model: str, inputs: dict[str, Array], outputs: list[str], *, request_id: str = ""
    ) -> dict[str, Array]:
        stubs = self._stubs.of(model)
        if not stubs and self._stubs.had(model):
            raise StageFailed(f"the process of {model} died.")
        answer = asyncio.wrap_future(_start(model, inputs, outputs, request_id))
        try:
            while not (await asyncio.wait({answer}, timeout=WATCH_INTERVAL_S))[0]:
                if stubs and not any(map(is_running, stubs)):
                    raise StageFailed(f"the process of {model} died.")
            return answer.result()
        finally:
            answer.cancel()  # no longer awaited

    def post(self, model: str, inputs: dict[str, Array], outputs: list[str], *, request_id: str) -> None:
        _start(model, inputs, outputs, request_id)


class _Stubs:
    """The processes of the Python models of this server. A model in another backend has none."""

    def __init__(self) -> None:
        self._triton = psutil.Process().parent()
        self._known: dict[psutil.Process, str] = {}
        self._had: set[str] = set()
        self._looked = float("-inf")

    def had(self, model: str) -> bool:
        """Whether a process of this model has ever run: it is a Python one."""
        return model in self._had

    def of(self, model: str) -> Sequence[psutil.Process]:
        """The running processes of `model`. Searches again when none is known, at most once per `SEARCH_INTERVAL_S`."""
        known = [process for process, name in self._known.items() if name == model and is_running(process)]
        recent = time.monotonic() - self._looked < SEARCH_INTERVAL_S
        if self._triton is None or recent or known:
            return known
        self._known, self._looked = running_stubs(self._triton), time.monotonic()
        self._had.update(self._known.values())
        return [process for process, name in self._known.items() if name == model]


def _start(model: str, inputs: dict[str, Array], outputs: list[str], request_id: str) -> Future[dict[str, Array]]:
    """Call on its own thread. A daemon, because a call that never ends must not keep this process alive."""
    answer: Future[dict[str, Array]] = Future()
    answer.set_running_or_notify_cancel()

    def work() -> None:
        try:
            answer.set_result(_exec(model, inputs, outputs, request_id))
        except Exception as error:  # noqa: BLE001 - raised where the answer is awaited
            answer.set_exception(error)

    threading.Thread(target=work, name="bls", daemon=True).start()
    return answer


def _exec(model: str, inputs: dict[str, Array], outputs: list[str], request_id: str) -> dict[str, Array]:
    request = pb_utils.InferenceRequest(
        model_name=model,
        requested_output_names=outputs,
        inputs=[tensor(name, array) for name, array in inputs.items()],
        request_id=request_id,
        # without it, a TensorRT plan leaves its answer on the GPU
        preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0),
    )
    answer = request.exec()
    if answer.has_error():
        raise from_wire(answer.error().message())
    return {name: pb_utils.get_output_tensor_by_name(answer, name).as_numpy() for name in outputs}
