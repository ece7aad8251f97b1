"""What all requests of one gateway share."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from bark_client import BarkError, InvalidRequest
from bark_client.tags import with_voices
from bark_client.trace_context import TRACEPARENT
from bark_gateway.access import CURRENT
from bark_gateway.errors import GatewayError, from_sdk
from bark_gateway.keys import Key, KeyRing
from bark_gateway.limits import Gate, Quotas
from bark_gateway.load import Load, Work
from bark_gateway.metrics import Metrics, ServerOutcome, ServerState, outcome_of
from bark_gateway.requests import Call
from bark_gateway.servers import Servers
from bark_gateway.settings import Settings
from bark_gateway.speech import Part, spoken
from bark_gateway.tries import Tries, broken_off
from bark_gateway.wording import about_voice, without_other_voices
from bark_tracing import Span

log = logging.getLogger(__name__)


@dataclass
class Gateway:
    """The parts of a gateway, and what is done in all its routes."""

    settings: Settings
    servers: Servers
    keys: KeyRing
    quotas: Quotas = field(default_factory=Quotas)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        settings, servers = self.settings, self.servers
        self.load = Load()
        self.gate = Gate(
            max_active=settings.max_active, max_queued=settings.max_queued, servers=lambda: len(servers.ready)
        )  # fmt: skip
        servers.changed, servers.gone = self.gate.look, self.metrics.server_gone
        self.sockets = 0
        gauge = self.metrics.gauge
        gauge("active", "Speeches that the servers make now.", lambda: self.gate.active)
        gauge("queued", "Speeches that wait for their turn.", lambda: self.gate.queued)
        gauge("pending_seconds", "Seconds of speech that are asked for and not yet made.", lambda: self.load.seconds)
        gauge("sockets", "WebSockets that are open.", lambda: self.sockets)
        self.metrics.watch_servers(
            lambda: [ServerState(one.url, one.ready, len(one.work), one.seconds) for one in servers.all]
        )
        self.uploads = asyncio.Semaphore(settings.max_voice_requests)
        self.stopping = asyncio.Event()  #: it was told to stop
        self._stop_began: float | None = None  # as `time.monotonic` counts; None: it goes on

    def stop(self) -> None:
        """No new text is taken. What was sent gets the grace time to be spoken."""
        self._stop_began = time.monotonic()
        self.stopping.set()

    def grace_left_s(self) -> float:
        """The seconds that running requests still get, if the gateway stops."""
        gone = 0.0 if self._stop_began is None else time.monotonic() - self._stop_began
        return max(0.0, self.settings.grace_s - gone)

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
            call = self._allowed(call, key=key)
            async with self._admitted(call, key=key) as work:
                span.event("admitted")
                TRACEPARENT.set(span.traceparent)
                try:
                    async with aclosing(self._from_servers(call, work, span)) as parts:
                        async for part in parts:
                            if seen.audio():
                                span.event("first audio")
                            seen.summary = part.summary
                            yield part
                except InvalidRequest as error:
                    more = about_voice(str(error), names=self.settings.voices)
                    raise refused(error, key=key, more=more) from None
            if seen.summary is not None:
                self.load.spoke(len(call.text), seen.summary.seconds)

    def _allowed(self, call: Call, *, key: Key) -> Call:
        """The call with the servers' names of voices in its tags. Raises GatewayError if the key may not use one."""
        check_voice(call.voice if isinstance(call.voice, str) else None, key=key)

        def checked(name: str) -> str:
            voice = self.settings.voices.get(name, name)
            check_voice(voice, key=key, asked=name)
            return voice

        return replace(call, text=with_voices(call.text, checked))

    @asynccontextmanager
    async def _admitted(self, call: Call, *, key: Key) -> AsyncIterator[Work]:
        """Wait until it is the turn of this call. Raises GatewayError if a limit does not allow it."""
        with self.quotas.request(key):
            self.quotas.spend(key, len(call.text))
            with self.load.work(len(call.text)) as work:
                try:
                    async with self.gate.passed():
                        yield work
                except (GatewayError, BarkError) as error:
                    if not work.made and outcome_of(error) in ("limited", "unavailable"):
                        self.quotas.give_back(key, len(call.text))
                    raise

    async def _from_servers(self, call: Call, work: Work, span: Span) -> AsyncGenerator[Part]:
        """The parts from the server with the least to do; from another one if that fails before the first part.

        The call has its seed, so the other server says the same.
        """
        tries = Tries(call)
        while True:
            begun = False
            outcome: ServerOutcome = "left"
            try:
                with self.servers.lend(work, without=tries.servers) as server:
                    tries.servers.append(server)
                    async with aclosing(spoken(server.bark, call, heard=work.heard)) as parts:
                        async for part in parts:
                            begun = True
                            yield part
                outcome = "spoken"
                return
            except (BarkError, GatewayError) as error:
                outcome = outcome_of(error)
                if isinstance(error, GatewayError) or not tries.servers:
                    raise
                if begun:
                    raise broken_off(error, call, seconds=work.made) from None
                if not tries.again(error, others=self.servers.others(tries.servers)):
                    raise
                outcome = "moved"
                log.warning("a request moves to another server: %s", error)
                span.event("moved to another server")
            finally:
                if tries.servers:
                    self.metrics.on_server(tries.servers[-1].url, outcome)
            work.again()


def refused(error: InvalidRequest, *, key: Key, more: str = "") -> GatewayError:
    """What a client is told of a wrong request. It names no voice that its key may not use."""
    told = from_sdk(error)
    message = without_other_voices(told.message, may_use=key.may_use)
    return GatewayError(told.status_code, message + more, param=told.param, code=told.code)


def check_voice(voice: str | None, *, key: Key, asked: str = "") -> None:
    """Raise GatewayError: 403, if the key may not use the voice. asked: what the client calls it, if that is known."""
    if not key.may_use(voice):
        named = f"the voice {asked!r}" if asked else "this voice"  # the server's name of it is not for this key
        what = "a speaker that Bark makes up; name a voice" if voice is None else named
        raise GatewayError(403, f"voice: this key may not use {what}.", param="voice", code="voice_not_allowed")


# Asynchronous, although they wait for nothing: FastAPI runs other functions in threads, which takes longer.
async def _gateway(connection: HTTPConnection) -> Gateway:
    found: Gateway = connection.app.state.gateway
    return found


async def key_of(connection: HTTPConnection) -> Key:
    """The key of a request or a WebSocket. Raises GatewayError: 401."""
    key = (await _gateway(connection)).keys.of(connection)
    connection.scope.setdefault("state", {})["key"] = key.name
    return key


OfGateway = Annotated[Gateway, Depends(_gateway)]
OfKey = Annotated[Key, Depends(key_of)]
