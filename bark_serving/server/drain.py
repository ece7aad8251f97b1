"""The grace time before a server stops: it refuses new requests, and the running ones go on to their end."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import psutil
from tritonclient.utils import InferenceServerException

from bark_serving.server import canary
from bark_serving.server.control import control, metrics
from bark_serving.server.reloads import processes_of
from bark_serving.server.settings import ServerSettings

_POLL_S = 0.05  # Triton has no event for this
#: Requests that `bark` has begun, and those that wait for it in Triton.
_RUNNING = re.compile(
    rf'^(?:bark_requests_running\{{.*\}}|nv_inference_pending_request_count\{{model="{canary.MODEL}",.*\}}) (\S+)$',
    re.MULTILINE,
)
_BEGUN = "bark_requests_running{"


def drain(
    settings: ServerSettings,
    *,
    triton: psutil.Process,
    control_key: str,
    hurry: Callable[[], bool],
    report: Callable[[str], None],
) -> bool:
    """Let the running requests end, at most ``settings.grace`` seconds. `hurry` ends the wait.

    Returns whether all of them ended. Triton refuses requests to a model that it unloads, and unloads it once its
    requests have ended. The stages stay, because the running requests call them. For Triton, a gRPC stream that its
    client keeps open is a running request. So the wait also ends when the metrics say that no request runs.
    """
    if not settings.grace:
        return False
    report(f"Letting running requests end, for at most {settings.grace:g} s; a second signal stops at once")
    try:
        with control(settings, key=control_key) as triton_control:
            triton_control.unload(canary.MODEL)
    except InferenceServerException:  # it has died, or is being loaded again: there is nothing to wait for
        return False
    deadline = time.monotonic() + settings.grace
    idle = False
    while processes_of(triton, canary.MODEL):
        # Twice in a row: a request that `bark` has just been given counts neither as waiting nor as begun.
        idle, was_idle = _is_idle(metrics(settings)), idle
        if idle and was_idle:
            return True
        if hurry() or time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _is_idle(said: str) -> bool:
    """Whether the metrics say that no request runs. They say nothing if `bark` does not count its requests."""
    return _BEGUN in said and not any(float(number) for number in _RUNNING.findall(said))
