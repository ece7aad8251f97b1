"""A gateway that listens on a port of this machine, in a thread of the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from fastapi import FastAPI

from bark_gateway.app import make_app
from bark_gateway.gateway import Gateway
from bark_gateway.keys import Key, KeyRing
from bark_gateway.listening import listen
from bark_gateway.serving import UvicornServer
from bark_gateway.serving import uvicorn_options as usual_options
from bark_gateway.settings import Settings
from bark_gateway.targets import Resolve
from bark_tracing import Tracing

START_S = 10


@dataclass
class Served:
    """A gateway that answers."""

    url: str  #: http://127.0.0.1:PORT, or https://localhost:PORT
    app: FastAPI
    server: UvicornServer

    @property
    def gateway(self) -> Gateway:
        found: Gateway = self.app.state.gateway
        return found


@contextmanager
def served(
    *servers: str,
    keys: list[Key] | None = None,
    tracing: Tracing | None = None,
    resolve: Resolve | None = None,
    uvicorn_options: Mapping[str, Any] | None = None,
    **settings: object,
) -> Iterator[Served]:
    """Serve while the block runs. servers: host:port of each. resolve: a DNS of the test's own."""
    given = Settings(servers=servers, **settings)  # type: ignore[arg-type]
    app = make_app(given, keys=KeyRing(keys or []), tracing=tracing, **({"resolve": resolve} if resolve else {}))
    (listener,) = listen("127.0.0.1", 0)
    of_test = {"timeout_graceful_shutdown": settings.get("grace_s", 1), "log_level": "error", **(uvicorn_options or {})}
    config = uvicorn.Config(app, **{**usual_options(given), **of_test})
    server = UvicornServer(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_S
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.started
    try:
        host = "https://localhost" if config.is_ssl else "http://127.0.0.1"  # certificates are for a name
        yield Served(f"{host}:{listener.getsockname()[1]}", app, server)
    finally:
        server.should_exit = True
        thread.join(START_S)
        assert not thread.is_alive()
