"""What all requests of one gateway share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from bark_client.trace_context import TRACEPARENT
from bark_gateway.access import CURRENT
from bark_gateway.errors import GatewayError
from bark_gateway.keys import Key, KeyRing
from bark_gateway.limits import Gate, Quotas
from bark_gateway.metrics import Metrics
from bark_gateway.requests import Call
from bark_gateway.servers import Bark, Servers
from bark_gateway.settings import Settings
from bark_gateway.speech import Part, spoken


@dataclass
class Gateway:
    """The parts of a gateway, and what is done in all its routes."""

    settings: Settings
    servers: Servers
    keys: KeyRing
    quotas: Quotas = field(default_factory=Quotas)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.gate = Gate(max_active=self.settings.max_active, max_queued=self.settings.max_queued)
        self.sockets = 0
        gauge = self.metrics.gauge
        gauge("active", "Speeches that the servers make now.", lambda: self.gate.active)
        gauge("queued", "Speeches that wait for their turn.", lambda: self.gate.queued)
        gauge("sockets", "WebSockets that are open.", lambda: self.sockets)
        for server in self.servers.all:
            up = "Whether a server was ready when it was last looked at."
            gauge("server_up", up, lambda server=server: float(not server.problem), server=server.url)  # type: ignore[misc]
        self.uploads = asyncio.Semaphore(self.settings.max_voice_requests)

    @contextmanager
    def socket(self) -> Iterator[None]:
        """Count a WebSocket while it is open. Raises GatewayError: 429, if there are too many."""
        if self.sockets >= self.settings.max_sockets:
            raise GatewayError(429, "Too many WebSockets are open. Connect again later.", code="too_many_sockets")
        self.sockets += 1
        try:
            yield
        finally:
            self.sockets -= 1

    async def speak(self, call: Call, *, key: Key) -> AsyncGenerator[Part]:
        """`speech.spoken`, within the limits. Raises GatewayError and BarkError."""
        voice = str(call.voice or "")
        span = CURRENT.get().child("speech", format=call.format, characters=len(call.text), voice=voice)
        with self.metrics.speech(len(call.text)) as seen, span:
            async with self.admitted(call, key=key) as bark:
                span.event("admitted")
                TRACEPARENT.set(span.traceparent)
                async with aclosing(spoken(bark, call)) as parts:
                    async for part in parts:
                        if seen.audio():
                            span.event("first audio")
                        seen.summary = part.summary
                        yield part

    @asynccontextmanager
    async def admitted(self, call: Call, *, key: Key) -> AsyncIterator[Bark]:
        """A server for this call, once it is its turn. Raises GatewayError if a limit does not allow it."""
        check_voice(call.voice if isinstance(call.voice, str) else None, key=key)
        with self.quotas.request(key):
            self.quotas.spend(key, len(call.text))
            async with self.gate.passed():
                with self.servers.lend() as bark:
                    yield bark


def check_voice(voice: str | None, *, key: Key) -> None:
    """Raise GatewayError: 403, if the key may not use the voice."""
    if not key.may_use(voice):
        what = "no made-up speaker; name a voice" if voice is None else f"not the voice {voice!r}"
        raise GatewayError(403, f"voice: this key may use {what}.", param="voice", code="voice_not_allowed")


# Asynchronous, although they wait for nothing: FastAPI runs other functions in threads, which takes longer.
async def _gateway(connection: HTTPConnection) -> Gateway:
    found: Gateway = connection.app.state.gateway
    return found


async def _key(connection: HTTPConnection) -> Key:
    key = (await _gateway(connection)).keys.of(connection)
    connection.scope.setdefault("state", {})["key"] = key.name
    return key


OfGateway = Annotated[Gateway, Depends(_gateway)]
OfKey = Annotated[Key, Depends(_key)]
