"""`/v1/audio/speech/stream`: a WebSocket that takes a text in fragments."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from bark_client import BarkError
from bark_client.protocol import SAMPLE_RATE
from bark_gateway.access import note_outcome, stops
from bark_gateway.conversation import Conversation
from bark_gateway.errors import GatewayError, as_answer
from bark_gateway.gateway import Gateway, OfGateway, key_of
from bark_gateway.keys import SUBPROTOCOL, Key
from bark_gateway.messages import Message, Start, Text, Told, may_be_start, parse, told, written
from bark_gateway.requests import Call, HowToSpeak
from bark_gateway.waiting import Idle, received

router = APIRouter()
NORMAL, RESTARTS = 1000, 1012  #: codes that say why a WebSocket is closed
PROTOCOL = "bark"  #: the subprotocol, for browsers, which send their key as another one


@router.websocket("/v1/audio/speech/stream")
async def stream(socket: WebSocket, gateway: OfGateway) -> None:
    """Take messages until the client says `end`, leaves, or is silent for too long."""
    try:
        key = await key_of(socket)
        with gateway.socket():
            await _accept(socket)
            await _Talk(socket, gateway=gateway, key=key).run()
    except GatewayError as error:  # before it was accepted
        note_outcome(socket.scope, error)
        await socket.send_denial_response(error.response())


async def _accept(socket: WebSocket) -> None:
    offered = socket.scope.get("subprotocols", [])
    carries_key = any(one.startswith(SUBPROTOCOL) for one in offered)
    await socket.accept(subprotocol=PROTOCOL if carries_key and PROTOCOL in offered else None)


class _Talk:
    """One WebSocket."""

    def __init__(self, socket: WebSocket, *, gateway: Gateway, key: Key) -> None:
        self._socket, self._gateway, self._key = socket, gateway, key
        self._conversation: Conversation | None = None
        self._running: asyncio.Task[None] | None = None
        self._ended = self._start_refused = False
        self._code = NORMAL

    async def run(self) -> None:
        """Until the end. Whatever happens, nothing of it is spoken afterwards."""
        stopping = asyncio.create_task(self._end_with_the_gateway())
        try:
            try:
                while (frame := await self._frame()) is not None:
                    data = frame.get("text") or frame.get("bytes") or b""
                    try:
                        await self._take(parse(data))
                    except (GatewayError, BarkError) as error:
                        self._start_refused |= self._conversation is None and may_be_start(data)
                        await self._refuse(as_answer(error))
            except Idle:
                await self._refuse(GatewayError(408, "Nothing was said for too long. Connect again.", code="idle"))
            await self._socket.close(self._code)
        except asyncio.CancelledError:  # the grace time of the gateway is over; nothing runs after this
            await self._socket.close(RESTARTS)
        except (WebSocketDisconnect, TimeoutError):
            return  # the client has left, or takes nothing any more
        finally:
            stopping.cancel()
            if self._running is not None:
                self._running.cancel()

    async def _end_with_the_gateway(self) -> None:
        """When the gateway is told to stop: speak what was sent, and take no more."""
        await self._gateway.stopping.wait()
        if self._conversation is None:
            await self._socket.close(RESTARTS)
        elif not self._ended:
            self._ended, self._code = True, RESTARTS
            self._conversation.end()

    async def _frame(self) -> Any:
        """What the client sends next; None once all is spoken.

        Raises WebSocketDisconnect if the client has left, Idle after a long silence of both sides.
        """
        frame = await received(
            self._socket.receive(),
            working=self._running,
            busy=lambda: self._conversation is not None and self._conversation.busy,
            idle_s=self._gateway.settings.socket_idle_s,
        )
        if frame is not None and frame["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        return frame

    async def _take(self, message: Message) -> None:
        """Do what a message says. Raises GatewayError and BarkError."""
        if self._code == RESTARTS:
            raise stops()
        if self._ended:
            raise GatewayError(400, "Nothing may follow `end`.", code="ended")
        if isinstance(message, Start):
            await self._start(message)
            return
        if self._start_refused and message.type != "end":
            raise GatewayError(400, "`start` was refused. Send one that is right first.", code="not_started")
        if self._conversation is None:
            await self._start(HowToSpeak())
        assert self._conversation is not None
        if isinstance(message, Text):
            self._conversation.feed(message.text)
        elif message.type == "flush":
            self._conversation.flush()
        elif message.type == "cancel":
            self._conversation.cancel()
            await self._send(told("cancelled"))
        else:
            self._ended = True
            self._conversation.end()

    async def _start(self, how: HowToSpeak) -> None:
        if self._conversation is not None:
            raise GatewayError(400, "It has started already. Connect again to speak in another way.", code="started")
        call = Call.of(how, "-", settings=self._gateway.settings)
        self._conversation = Conversation(call, gateway=self._gateway, key=self._key, send=self._send)
        self._running = asyncio.create_task(self._conversation.run())
        self._start_refused = False
        await self._send(told("started", format=call.format, sample_rate=SAMPLE_RATE, seed=str(call.seed)))

    async def _refuse(self, error: GatewayError) -> None:
        await self._send(told("error", piece=None, **error.envelope()))

    async def _send(self, said: Told | bytes) -> None:
        """Raises TimeoutError if the client takes nothing, WebSocketDisconnect if it has left."""
        if self._socket.client_state is not WebSocketState.CONNECTED:
            raise WebSocketDisconnect
        async with asyncio.timeout(self._gateway.settings.send_timeout_s):
            await (self._socket.send_bytes(said) if isinstance(said, bytes) else self._socket.send_text(written(said)))
