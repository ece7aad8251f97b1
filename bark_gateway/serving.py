"""How uvicorn runs a gateway."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from bark_gateway.gateway import Gateway
from bark_gateway.listening import UNSENT_BYTES, url
from bark_gateway.settings import Settings

LISTENS: Final = "The gateway listens on "  #: begins the line that says where; `bark-serve up --gateway` waits for it
FAREWELL_S: Final = 1.0  #: that connections get to end once their requests were cancelled
_POLL_S: Final = 0.02  #: uvicorn has no event for the end of its requests


class ShortQueue(H11Protocol):
    """A connection in which little waits to be sent, also over TLS. A WebSocket takes it over as it is.

    h11 instead of httptools: that sends chunks to clients of HTTP/1.0, which know none (RFC 9112, section 6.1).
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=UNSENT_BYTES)


class PatientSocket(WebSocketsSansIOProtocol):
    """A WebSocket that uvicorn does not close at a stop: the gateway does, once what its client sent is spoken."""

    def shutdown(self) -> None:
        if self.close_sent or not self.handshake_complete:
            super().shutdown()


#: How uvicorn serves every gateway. Its own lines are left out: `access` writes better ones. Compression of WebSockets
#: would hold 100 kB per connection, and audio is compressed already. A client that does not answer a ping may still
#: play the audio before it: `Settings.send_timeout_s` and `socket_idle_s` say when a client has left.
UVICORN: Final[dict[str, Any]] = {
    "http": ShortQueue,
    "ws": PatientSocket,
    "access_log": False,
    "log_config": None,
    "server_header": False,
    "ws_ping_timeout": None,
    "ws_per_message_deflate": False,
}


def uvicorn_options(settings: Settings) -> dict[str, Any]:
    """How uvicorn serves a gateway."""
    return {**UVICORN, "ws_max_size": settings.max_text_bytes}


class UvicornServer(uvicorn.Server):
    """Says where it listens, once it does, and tells the gateway when it begins to stop."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            where = url(self.config.host, self.config.port, tls=self.config.is_ssl)
            print(f"{LISTENS}{where}", file=sys.stderr, flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what runs, within the grace time. The port stays open meanwhile: what is new is refused in words."""
        gateway: Gateway = self.config.app.state.gateway  # type: ignore[union-attr] # an application
        gateway.stop()  # WebSockets and Wyoming's connections have the same grace time
        while self._busy and gateway.grace_left_s() and not self.force_exit:
            await asyncio.sleep(_POLL_S)
        self.config.timeout_graceful_shutdown = gateway.grace_left_s()  # type: ignore[assignment] # see `cli`
        await super().shutdown(sockets)
        # What was cancelled at the end of the grace time has yet to tell its clients, and they have yet to answer.
        over = time.monotonic() + FAREWELL_S
        while (self._busy or self.server_state.connections) and time.monotonic() < over:
            await asyncio.sleep(_POLL_S)

    @property
    def _busy(self) -> bool:
        """Whether requests run, or WebSockets are open."""
        return bool(self.server_state.tasks)


def run(config: uvicorn.Config, sockets: list[socket.socket]) -> bool:
    """Serve until SIGINT or SIGTERM. Returns whether it could start; if not, uvicorn has said why."""
    server = UvicornServer(config)
    try:
        server.run(sockets)
    except (KeyboardInterrupt, SystemExit):  # uvicorn raises the signal again once it has stopped
        return server.started
    return server.started
