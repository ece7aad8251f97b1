"""The grace time before a server stops: it refuses new requests, and the running ones go on to their end."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException

from bark_serving.server import canary
from bark_serving.server.binary import GRPC_CONTROL_HEADER
from bark_serving.server.reloads import CALL_TIMEOUT_S, processes_of
from bark_serving.server.settings import ServerSettings

_POLL_S = 0.05  # Triton has no event for this


def drain(
    settings: ServerSettings,
    *,
    triton: psutil.Process,
    control_key: str,
    hurry: Callable[[], bool],
    report: Callable[[str], None],
) -> bool:
    """Let the running requests end, at most ``settings.grace`` seconds. `hurry` ends the wait.

    Returns whether all of them ended. Triton does the work: it refuses requests to a model that it unloads, and unloads
    it once its requests have ended. The stages stay, because the running requests call them. A gRPC stream that its
    client keeps open counts as a running request: Triton does not unload a model before.
    """
    if not settings.grace:
        return False
    report(f"Letting running requests end, for at most {settings.grace:g} s; a second signal stops at once")
    client = grpc.InferenceServerClient(f"{settings.host}:{settings.grpc_port}")
    try:
        client.unload_model(canary.MODEL, headers={GRPC_CONTROL_HEADER: control_key}, client_timeout=CALL_TIMEOUT_S)
    except InferenceServerException:  # it has died, or is being loaded again: there is nothing to wait for
        return False
    finally:
        client.close()
    deadline = time.monotonic() + settings.grace
    while processes_of(triton, canary.MODEL):
        if hurry() or time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
