"""What only the supervisor of a server asks of Triton: to unload and load models, and its metrics."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import tritonclient.grpc as grpc

from bark_serving.server.binary import GRPC_CONTROL_HEADER
from bark_serving.server.settings import ServerSettings

UNLOAD_CALL_TIMEOUT_S = 10.0  #: of the call that begins to unload a model
LOAD_TIMEOUT_S = 300.0
METRICS_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Control:
    """A connection to Triton that may load and unload models. Its methods raise `InferenceServerException`."""

    client: grpc.InferenceServerClient
    key: str

    def unload(self, model: str) -> None:
        """Begin to unload a model. It refuses requests at once, and is unloaded when those that run have ended."""
        self.client.unload_model(model, headers=self._headers, client_timeout=UNLOAD_CALL_TIMEOUT_S)

    def load(self, model: str) -> None:
        """Load a model, and wait until it is."""
        self.client.load_model(model, headers=self._headers, client_timeout=LOAD_TIMEOUT_S)

    @property
    def _headers(self) -> dict[str, str]:
        return {GRPC_CONTROL_HEADER: self.key}


@contextmanager
def control(settings: ServerSettings, *, key: str) -> Iterator[Control]:
    """A `Control` of a running server. key: the one that its Triton was started with."""
    client = grpc.InferenceServerClient(f"{settings.host}:{settings.grpc_port}")
    try:
        yield Control(client, key)
    finally:
        client.close()


def metrics(settings: ServerSettings) -> str:
    """Triton's metrics as text; empty if it does not answer."""
    try:
        with urllib.request.urlopen(settings.metrics_url, timeout=METRICS_TIMEOUT_S) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""
