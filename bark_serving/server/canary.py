"""Is the server really there? Ports open, models ready, and a short sentence spoken: the only check that cannot lie.

Triton's readiness stays true when a Python stub has died; an answer does not.
"""

from __future__ import annotations

import queue
import socket
import time
from collections.abc import Callable

import numpy as np
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException

from bark_serving.server import log
from bark_serving.server.errors import ServerError, StartFailed, Stopped
from bark_serving.server.process import StopRequest
from bark_serving.server.settings import ServerSettings

MODEL = "bark"
TEXT = "Hello."
MAX_DURATION = 0.2  #: seconds of speech the canary asks for
_POLL = 0.1  # seconds; Triton has no event for "ready"
_CALL = 2.0  # seconds that a health call may take


def wait_until_answering(
    settings: ServerSettings,
    *,
    ended: Callable[[], bool],
    stop: StopRequest,
    report: Callable[[str], None],
) -> float:
    """Wait for open ports, for every model, and for the answer to a canary; return the seconds that answer took.

    `ended` tells whether the process is gone; `report` is told what is waited for, at each change.
    Raises `StartFailed` with the lines of the log that explain it, or `Stopped`.
    """
    deadline = time.monotonic() + settings.start_timeout
    wait = _Wait(settings, deadline=deadline, ended=ended, stop=stop, report=report)
    expected = set(settings.models)
    wait.until(
        lambda: _accepts(settings),
        what=lambda: _list("Loading models", expected - log.loaded_models(settings.log_path), "Opening ports"),
    )
    client = grpc.InferenceServerClient(f"{settings.host}:{settings.grpc_port}")
    try:
        wait.until(
            lambda: not _not_ready(client, expected),
            what=lambda: _list("Waiting for models to be ready", _not_ready(client, expected), "Checking models"),
        )
    finally:
        client.close()
    report(f"Waiting for {MODEL} to speak")
    try:
        return speak(settings, timeout=max(1.0, deadline - time.monotonic()), ended=ended, stop=stop)
    except CanaryFailed as error:
        raise _start_failed(
            settings, f"The model {MODEL!r} did not answer the canary request: {error.problem}"
        ) from error


class CanaryFailed(ServerError):
    """The canary request got an error, no audio, or no answer in time."""

    def __init__(self, message: str) -> None:
        super().__init__(message, remedy="The server's log says more.")


def speak(
    settings: ServerSettings,
    *,
    timeout: float,
    ended: Callable[[], bool] = lambda: False,
    stop: StopRequest | None = None,
) -> float:
    """Have `bark` say a word over a gRPC stream; return the seconds until its last answer.

    Raises `CanaryFailed`, or `Stopped`.
    """
    answers: queue.SimpleQueue[tuple[grpc.InferResult | None, Exception | None]] = queue.SimpleQueue()
    started = time.monotonic()
    client = grpc.InferenceServerClient(f"{settings.host}:{settings.grpc_port}")
    samples = 0
    try:
        # The timeout bounds the call on the wire, so that a dead stub cannot hold us.
        client.start_stream(lambda result, error: answers.put((result, error)), stream_timeout=timeout)
        client.async_stream_infer(MODEL, _request(), enable_empty_final_response=True)
        while True:
            result, error = _next(answers, started + timeout + _CALL, ended=ended, stop=stop)
            if error is not None or result is None:
                raise CanaryFailed(str(error).strip())
            audio = result.as_numpy("audio")
            samples += 0 if audio is None else audio.size
            if result.get_response().parameters["triton_final_response"].bool_param:
                break
    finally:
        client.stop_stream(cancel_requests=True)  # a plain stop_stream() waits for answers that may never come
        client.close()
    if samples == 0:
        raise CanaryFailed("it ended without any audio.")
    return time.monotonic() - started


def _request() -> list[grpc.InferInput]:
    values = {
        "text": (np.array([TEXT.encode()], dtype=np.object_), "BYTES"),
        "max_duration": (np.array([MAX_DURATION], dtype=np.float32), "FP32"),
        "seed": (np.array([0], dtype=np.uint64), "UINT64"),
        "stream": (np.array([True]), "BOOL"),
    }
    inputs = []
    for name, (array, kind) in values.items():
        tensor = grpc.InferInput(name, list(array.shape), kind)
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    return inputs


def _next(
    answers: queue.SimpleQueue[tuple[grpc.InferResult | None, Exception | None]],
    deadline: float,
    *,
    ended: Callable[[], bool],
    stop: StopRequest | None,
) -> tuple[grpc.InferResult | None, Exception | None]:
    while True:
        try:
            return answers.get(timeout=_POLL)
        except queue.Empty:
            if stop is not None and stop.wait(0):
                raise _stopped() from None
            if ended():
                raise CanaryFailed("the server ended.") from None
            if time.monotonic() > deadline:
                raise CanaryFailed("no answer in time.") from None


class _Wait:
    """Polls conditions until they hold, under one deadline, telling what it waits for."""

    def __init__(
        self,
        settings: ServerSettings,
        *,
        deadline: float,
        ended: Callable[[], bool],
        stop: StopRequest,
        report: Callable[[str], None],
    ) -> None:
        self._settings, self._deadline, self._ended, self._stop, self._report = settings, deadline, ended, stop, report

    def until(self, condition: Callable[[], bool], *, what: Callable[[], str]) -> None:
        told = ""
        while not condition():
            if self._ended():
                raise _start_failed(self._settings, "Triton ended before it was ready.")
            now = what()
            if time.monotonic() > self._deadline:
                limit = self._settings.start_timeout
                raise _start_failed(self._settings, f"The server was not ready within {limit:g} s. {now}.")
            if now != told:
                self._report(told := now)
            if self._stop.wait(_POLL):
                raise _stopped()


def _accepts(settings: ServerSettings) -> bool:
    """Whether both ports accept connections. Plain sockets: a gRPC channel would back off for seconds."""
    for port in (settings.http_port, settings.grpc_port):
        try:
            socket.create_connection((settings.host, port), timeout=_CALL).close()
        except OSError:
            return False
    return True


def _not_ready(client: grpc.InferenceServerClient, models: set[str]) -> set[str]:
    try:
        return {model for model in models if not client.is_model_ready(model, client_timeout=_CALL)}
    except InferenceServerException:
        return models


def _list(what: str, names: set[str], otherwise: str) -> str:
    return f"{what}: {', '.join(sorted(names))}" if names else otherwise


def _stopped() -> Stopped:
    return Stopped("Stopped before the server was ready.", remedy="Start it again with `bark-serve up`.")


def _start_failed(settings: ServerSettings, message: str) -> StartFailed:
    lines = log.relevant_lines(settings.log_path)
    detail = "\n".join(f"  {line}" for line in lines)
    return StartFailed(
        f"{message}\n{detail}" if lines else message,
        remedy=f"The whole log is {settings.log_path}; `bark-serve up --start-timeout` gives a slow machine more time.",
    )
