"""Checks that a server really answers: its ports are open, its models are ready, and it speaks a short sentence.

Only the sentence is proof: Triton still calls a model ready after the model's Python stub has died.
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
from bark_serving.server.resources import explain
from bark_serving.server.settings import ServerSettings
from bark_serving.speech.request import CHECK_ID

MODEL = "bark"
TEXT = "Hello."
MAX_DURATION_S = 0.2  #: of the speech that the canary asks for
_POLL_S = 0.05  # Triton has no event for "ready"
_MAX_CALL_S = 2.0  # of a health call
_DEADLINE_EXCEEDED = "StatusCode.DEADLINE_EXCEEDED"  # as tritonclient words it


def wait_until_answering(
    settings: ServerSettings,
    *,
    oom_kills: int | None,
    ended: Callable[[], bool],
    stop: StopRequest,
    report: Callable[[str], None],
) -> float:
    """Wait until the ports are open, every model is ready and the canary is answered. Returns the answer's seconds.

    oom_kills: the kernel's count before the start. `ended` says whether the process has ended. `report` gets a text
    whenever the wait is for something else.
    Raises `StartFailed` with the lines of the log that explain it, or `Stopped`.
    """
    deadline = time.monotonic() + settings.start_timeout
    try:
        return _wait(settings, deadline, ended=ended, stop=stop, report=report)
    except StartFailed as error:
        if explained := explain(settings, kills_before=oom_kills):  # the log only has what followed from it
            problem = f"{explained.problem}\n{error.problem}"
            raise StartFailed(problem, remedy=f"{explained.remedy} The whole log is {settings.log_path}.") from error
        raise


def _wait(
    settings: ServerSettings,
    deadline: float,
    *,
    ended: Callable[[], bool],
    stop: StopRequest,
    report: Callable[[str], None],
) -> float:
    """`wait_until_answering`, with the log as the only reason."""
    wait = _Wait(settings, deadline=deadline, ended=ended, stop=stop, report=report)
    expected = set(settings.models)
    wait.until(
        lambda: _accepts(settings),
        what=lambda: _list("Loading models", expected - log.loaded_models(settings.log_path), "Opening ports"),
    )
    client = grpc.InferenceServerClient(f"{settings.host}:{settings.grpc_port}")
    try:
        wait.until(
            lambda: all(models_ready(settings, client=client).values()),
            what=lambda: _list(
                "Waiting for models to be ready",
                {model for model, ready in models_ready(settings, client=client).items() if not ready},
                "Checking models",
            ),
        )
    finally:
        client.close()
    report(f"Waiting for {MODEL} to speak")
    try:
        return speak(settings, timeout=max(1.0, deadline - time.monotonic()), ended=ended, stop=stop)
    except CanaryFailed as error:
        message = f"The model {MODEL!r} did not answer the canary request: {error.problem}"
        raise _start_failed(settings, message, slow=time.monotonic() > deadline) from error


def models_ready(settings: ServerSettings, *, client: grpc.InferenceServerClient) -> dict[str, bool]:
    """Whether Triton calls each model ready. None is while it does not listen."""
    try:
        return {model: client.is_model_ready(model, client_timeout=_MAX_CALL_S) for model in settings.models}
    except InferenceServerException:
        return dict.fromkeys(settings.models, False)


class CanaryFailed(ServerError):
    """The canary request got an error, no audio, or no answer in time."""

    def __init__(self, message: str) -> None:
        super().__init__(message, remedy="The server's log says more.")


class NoAnswer(CanaryFailed):
    """The canary request got no answer in time: neither audio nor an error."""


def speak(
    settings: ServerSettings,
    *,
    timeout: float,
    ended: Callable[[], bool] = lambda: False,
    stop: StopRequest | None = None,
) -> float:
    """Let `bark` say a word over a gRPC stream. Returns the seconds until its last answer.

    Raises `CanaryFailed`, `NoAnswer` if the time was over, or `Stopped`.
    """
    answers: queue.SimpleQueue[tuple[grpc.InferResult | None, Exception | None]] = queue.SimpleQueue()
    started = time.monotonic()
    client = grpc.InferenceServerClient(f"{settings.host}:{settings.grpc_port}")
    samples = 0
    try:
        # The timeout limits the call itself, so that a dead stub cannot block us.
        client.start_stream(lambda result, error: answers.put((result, error)), stream_timeout=timeout)
        client.async_stream_infer(MODEL, _request(), request_id=CHECK_ID, enable_empty_final_response=True)
        while True:
            result, error = _next(answers, started + timeout + _MAX_CALL_S, ended=ended, stop=stop)
            if error is not None or result is None:
                late = isinstance(error, InferenceServerException) and error.status() == _DEADLINE_EXCEEDED
                raise (NoAnswer if late else CanaryFailed)(str(error).strip())
            audio = result.as_numpy("audio")
            samples += 0 if audio is None else audio.size
            if result.get_response().parameters["triton_final_response"].bool_param:
                break
    finally:
        client.stop_stream(cancel_requests=True)  # so that leaving never waits for an answer
        client.close()
    if samples == 0:
        raise CanaryFailed("it ended without any audio.")
    return time.monotonic() - started


def _request() -> list[grpc.InferInput]:
    values = {
        "text": (np.array([TEXT.encode()], dtype=np.object_), "BYTES"),
        "max_duration": (np.array([MAX_DURATION_S], dtype=np.float32), "FP32"),
        "seed": (np.array([0], dtype=np.uint64), "UINT64"),
        "stream": (np.array([True]), "BOOL"),
        # every stage runs, but the fine stage reads the word only: on a CPU a whole window of it takes seconds
        "speed": (np.array([b"fast"], dtype=np.object_), "BYTES"),
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
            return answers.get(timeout=_POLL_S)
        except queue.Empty:
            if stop is not None and stop.wait(0):
                raise _stopped() from None
            if ended():
                raise CanaryFailed("the server ended.") from None
            if time.monotonic() > deadline:
                raise NoAnswer("no answer came in time.") from None


class _Wait:
    """Polls conditions until they hold, with one deadline for all, and reports what it waits for."""

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
                raise _start_failed(self._settings, f"The server was not ready within {limit:g} s. {now}.", slow=True)
            if now != told:
                self._report(told := now)
            if self._stop.wait(_POLL_S):
                raise _stopped()


def _accepts(settings: ServerSettings) -> bool:
    """Whether both ports accept connections. Plain sockets, because a gRPC channel waits seconds before it retries."""
    for port in (settings.http_port, settings.grpc_port):
        try:
            socket.create_connection((settings.host, port), timeout=_MAX_CALL_S).close()
        except OSError:
            return False
    return True


def _list(what: str, names: set[str], otherwise: str) -> str:
    return f"{what}: {', '.join(sorted(names))}" if names else otherwise


def _stopped() -> Stopped:
    return Stopped("Stopped before the server was ready.", remedy="Start it again with the same `bark-serve up`.")


def _start_failed(settings: ServerSettings, message: str, *, slow: bool = False) -> StartFailed:
    """slow: more time may be what is missing."""
    lines = log.relevant_lines(settings.log_path)
    detail = "\n".join(f"  {line}" for line in lines)
    more_time = " A larger --start-timeout gives a slow machine more time." if slow else ""
    return StartFailed(
        f"{message}\n{detail}" if lines else message, remedy=f"The whole log is {settings.log_path}.{more_time}"
    )
