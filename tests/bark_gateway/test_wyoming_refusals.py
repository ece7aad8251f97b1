"""What a client of Wyoming is told when it sends what can't be spoken, or the server fails."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from wyoming.audio import AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe
from wyoming.tts import Synthesize, SynthesizeVoice

from tests.bark_gateway.wyoming_talk import (
    WAIT_S,
    listening,
    sound,
    talk,
    tone,
    until,
)
from tests.client.fake_triton import (
    FakeTriton,
    free_port,
    say_error,
)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Synthesize("Hello.", voice=SynthesizeVoice(name="x.npz")), "'x.npz' is no name of a voice"),
        (Synthesize(" "), "it is empty"),
        (Synthesize("<speak>Hello.</speak>", text_format="ssml"), "no SSML"),
        (Synthesize("Hello.", voice=SynthesizeVoice(language=7)), "language"),  # type: ignore[arg-type]
        (Event("synthesize"), "synthesize: its data"),
        (Event("synthesize", {"text": 5}), "synthesize: its data"),
        (Event("synthesize", {"text": "Hello.", "voice": 5}), "synthesize: its data"),
        (Event("synthesize", {"text": "x" * 20_001}), "20000"),
    ],
)
def test_what_can_not_be_spoken_is_refused_in_words(triton: FakeTriton, event: Any, words: str) -> None:
    async def speak(connection: AsyncTcpClient) -> list[Event]:
        await connection.write_event(event if isinstance(event, Event) else event.event())
        return await until(connection)  # the connection ends, or Home Assistant would wait for ever

    (told,) = talk(triton.url, speak)
    assert words in Error.from_event(told).text


def test_an_error_of_the_server_is_told_and_ends_the_connection(triton: FakeTriton) -> None:
    triton.plan.append(say_error("[INVALID_ARGUMENT] there is no voice 'nobody'."))

    async def speak(connection: AsyncTcpClient) -> list[Event]:
        await connection.write_event(Synthesize("Hello.", voice=SynthesizeVoice(name="nobody")).event())
        return await until(connection)

    assert "no voice 'nobody'" in Error.from_event(talk(triton.url, speak)[-1]).text


@pytest.mark.parametrize("wanted", [Describe(), Synthesize("Hello.")])
def test_a_dead_server_is_told_at_once(wanted: Any) -> None:
    async def speak(connection: AsyncTcpClient) -> list[Event]:
        await connection.write_event(wanted.event())
        return await until(connection)

    (told,) = talk(f"127.0.0.1:{free_port()}", speak)
    assert "No speech server" in Error.from_event(told).text


def test_a_first_line_that_is_too_long_is_refused_in_words(triton: FakeTriton) -> None:
    async def speak(connection: AsyncTcpClient) -> list[Event]:
        header = {"type": "synthesize", "data": {"text": "Hello. " * 10_000}}
        assert connection._writer is not None
        connection._writer.write(json.dumps(header).encode() + b"\n")  # the library itself sends data after the line
        return await until(connection)

    (told,) = talk(triton.url, speak)
    assert "64 KiB" in Error.from_event(told).text


@pytest.mark.parametrize(
    "data",
    [
        b"\n", b"{}\n", b"[]\n", b"5\n", b"null\n", b"\xff\xfe\n", b"GET / HTTP/1.1\r\n\r\n", b"x" * 200_000,
        b'{"type": "synthesize", "data_length": "5"}\nhello', b'{"type": "synthesize", "data_length": 99}\n{}',
        b'{"type": "synthesize", "data_length": 2}\n[]', b'{"type": 5}\n', b'{"type": "ping", "data": 5}\n',
        b'{"type": "synthesize", "payload_length": 99999999999}\n',
    ],
)  # fmt: skip
def test_what_is_no_wyoming_harms_nobody(triton: FakeTriton, data: bytes) -> None:
    broken: list[dict[str, Any]] = []

    def note(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # gRPC has one poller for all loops of a process. It tells this loop that the loops of earlier tests are closed.
        if "PollerCompletionQueue" not in context["message"]:
            broken.append(context)

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(note)
        async with listening(triton.url) as port, asyncio.timeout(WAIT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(data)
            writer.write_eof()
            await reader.read()
            writer.close()
            async with AsyncTcpClient("127.0.0.1", port) as connection:
                await connection.write_event(Synthesize("Hello.").event())
                assert sound(await until(connection, AudioStop)) == tone(1)

    asyncio.run(run())
    assert broken == []
