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

WATCH_INTERVAL = 1.0  #: seconds between looks at whether the process that a call waits for is still there


class BlsCaller:
    """Blocking BLS calls, a thread each: measured faster than ``async_exec``, and not capped by cores.

    When a process dies whose model answers later than it returns, as the GPT stages do, Triton (24.10) never ends the
    calls to it. They fail here, and their threads are given up.
    """

    def __init__(self) -> None:
        self._stubs = _Stubs()

    async def call(
        self, model: str, inputs: dict[str, Array], outputs: list[str], *, request_id: str = ""
    ) -> dict[str, Array]:
        stubs = self._stubs.of(model)
        answer = asyncio.wrap_future(_start(model, inputs, outputs, request_id))
        try:
            while not (await asyncio.wait({answer}, timeout=WATCH_INTERVAL))[0]:
                if stubs and not any(map(is_running, stubs)):
                    raise StageFailed(f"the process of {model} died.")
            return answer.result()
        finally:
            answer.cancel()  # nobody waits for it any more

    def post(self, model: str, inputs: dict[str, Array], outputs: list[str], *, request_id: str) -> None:
        _start(model, inputs, outputs, request_id)


class _Stubs:
    """The processes of the models beside this one; none where something else than Python runs a model."""

    def __init__(self) -> None:
        self._triton = psutil.Process().parent()
        self._known: dict[psutil.Process, str] = {}
        self._looked = float("-inf")

    def of(self, model: str) -> Sequence[psutil.Process]:
        """Those of `model` that run. Looks around anew when none is known, but not all the time."""
        known = [process for process, name in self._known.items() if name == model and is_running(process)]
        recent = time.monotonic() - self._looked < WATCH_INTERVAL
        if self._triton is None or recent or known:
            return known
        self._known, self._looked = running_stubs(self._triton), time.monotonic()
        return [process for process, name in self._known.items() if name == model]


def _start(model: str, inputs: dict[str, Array], outputs: list[str], request_id: str) -> Future[dict[str, Array]]:
    """Call on a thread of its own: a daemon, since one that waits for ever must not keep this process from ending."""
    answer: Future[dict[str, Array]] = Future()
    answer.set_running_or_notify_cancel()

    def work() -> None:
        try:
            answer.set_result(_exec(model, inputs, outputs, request_id))
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            answer.set_exception(error)

    threading.Thread(target=work, name="bls", daemon=True).start()
    return answer


def _exec(model: str, inputs: dict[str, Array], outputs: list[str], request_id: str) -> dict[str, Array]:
    request = pb_utils.InferenceRequest(
        model_name=model,
        requested_output_names=outputs,
        inputs=[tensor(name, array) for name, array in inputs.items()],
        request_id=request_id,
        # a TensorRT plan would else leave its answer on the GPU
        preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0),
    )
    answer = request.exec()
    if answer.has_error():
        raise from_wire(answer.error().message())
    return {name: pb_utils.get_output_tensor_by_name(answer, name).as_numpy() for name in outputs}
