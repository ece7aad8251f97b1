"""A gateway that speaks Wyoming, and what its clients do in several tests."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import numpy as np
from wyoming.audio import AudioChunk
from wyoming.client import AsyncTcpClient
from wyoming.event import Event

from bark_client.audio import pcm16
from bark_gateway.gateway import Gateway
from bark_gateway.keys import ANYBODY, Key, KeyRing
from bark_gateway.servers import Servers, connect
from bark_gateway.settings import Settings
from bark_gateway.wyoming import wyoming
from bark_tracing import Tracing
from tests.client.fake_triton import (
    CHUNK,
    SAMPLE_RATE,
    Answers,
    FakeTriton,
    chunk,
    final,
    last_chunk,
)

WAIT_S = 10
VOICE = "v2/en_speaker_6"
ONE, TWO = "It is nice to see you this morning.", "Come in and sit down by the fire."


@asynccontextmanager
async def listening(
    url: str, *, key: Key = ANYBODY, tracing: Tracing | None = None, **settings: Any
) -> AsyncIterator[int]:
    """A gateway that speaks Wyoming only; its port."""
    joined = partial(connect, connect_timeout_s=0.8, answer_timeout_s=20.0)
    async with Servers([url], connect=joined) as servers:
        gateway = Gateway(Settings(servers=(url,), **settings), servers=servers, keys=KeyRing())
        listener = socket.create_server(("127.0.0.1", 0))
        async with wyoming(gateway, listeners=[listener], key=key, tracing=tracing or Tracing()):
            yield listener.getsockname()[1]


def talk(url: str, client: Callable[[AsyncTcpClient], Awaitable[Any]], **options: Any) -> Any:
    """What a client gets that talks to a gateway."""

    async def run() -> Any:
        async with listening(url, **options) as port, asyncio.timeout(WAIT_S), AsyncTcpClient("127.0.0.1", port) as one:
            return await client(one)

    return asyncio.run(run())


async def until(connection: AsyncTcpClient, *last: type[Any]) -> list[Event]:
    """All events, to the first one of these kinds, or to the end of the connection."""
    events: list[Event] = []
    while (event := await connection.read_event()) is not None:
        events.append(event)
        if any(kind.is_type(event.type) for kind in last):
            break
    return events


def kinds(events: list[Event]) -> list[str]:
    """The types of events, one for chunks that follow each other."""
    types = [event.type for event in events]
    return [kind for index, kind in enumerate(types) if index == 0 or types[index - 1] != kind]


def sound(events: list[Event]) -> bytes:
    return b"".join(AudioChunk.from_event(event).audio for event in events if AudioChunk.is_type(event.type))


def tone(sentences: int) -> bytes:
    """What the stand-in says."""
    period = np.sin(np.arange(CHUNK) * 2 * np.pi * 220 / SAMPLE_RATE)
    samples = [period * (index + 1) / (sentences + 1) for index in range(sentences)]
    return pcm16(np.concatenate(samples).astype(np.float32))


def speak_halfway(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Answers:
    """Two sentences; the second one is spoken once `release` is set."""
    yield chunk(0, 2)
    server.release.wait(WAIT_S)
    yield last_chunk(inputs, 1, 2)
    yield final()
