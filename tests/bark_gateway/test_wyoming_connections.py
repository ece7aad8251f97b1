"""Connections of Wyoming: how they end, what they may, and what the log says of them."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import Any

import pytest
from wyoming.audio import AudioChunk, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeStopped, SynthesizeVoice

from bark_gateway.keys import Key
from tests.bark_gateway.test_tracing import Seen
from tests.bark_gateway.wyoming_talk import (
    ONE,
    TWO,
    VOICE,
    WAIT_S,
    listening,
    sound,
    speak_halfway,
    talk,
    tone,
    until,
)
from tests.client.fake_triton import (
    FakeTriton,
    chunk,
    final,
    hang,
    last_chunk,
)


@pytest.mark.parametrize("grace_s", [60.0, 0.1])
def test_when_the_gateway_stops_a_speech_that_runs_gets_the_grace_time(triton: FakeTriton, grace_s: float) -> None:
    triton.plan.append(speak_halfway)

    async def run() -> list[Event]:
        port, told = asyncio.get_running_loop().create_future(), asyncio.Event()

        async def serve() -> None:
            async with listening(triton.url, grace_s=grace_s) as listens:
                port.set_result(listens)
                await told.wait()

        serving = asyncio.create_task(serve())
        async with asyncio.timeout(WAIT_S), AsyncTcpClient("127.0.0.1", await port) as connection:
            await connection.write_event(Synthesize("One. Two.").event())
            events = await until(connection, AudioChunk)
            told.set()
            await asyncio.sleep(0)
            await connection.write_event(Synthesize("This is too late.").event())
            if grace_s == 60.0:
                done, _ = await asyncio.wait({serving}, timeout=0.3)
                assert not done, "it waits for the speech"
                triton.release.set()
            events += await until(connection, AudioStop)
            await serving
            return events

    events = asyncio.run(run())
    triton.release.set()
    assert (sound(events) == tone(2)) == (grace_s == 60.0)
    assert [request["text"] for request in triton.requests] == [b"One. Two."]


def test_a_client_that_leaves_stops_the_work(triton: FakeTriton) -> None:
    triton.plan.append(hang(after_chunks=1))

    async def leave(connection: AsyncTcpClient) -> None:
        await connection.write_event(Synthesize("Hello. You.").event())
        await until(connection, AudioChunk)
        await connection.disconnect()
        assert await asyncio.to_thread(triton.cancelled.acquire, timeout=WAIT_S)

    talk(triton.url, leave)


def test_the_limits_of_the_named_key_hold(triton: FakeTriton) -> None:
    key = Key(name="house", sha256="0" * 64, voices=("me",))

    async def ask(connection: AsyncTcpClient) -> tuple[Event, Event]:
        await connection.write_event(Describe().event())
        (info,) = await until(connection, Info)
        await connection.write_event(Synthesize("Hello.", voice=SynthesizeVoice(name=VOICE)).event())
        (told,) = await until(connection)
        return info, told

    info, told = talk(triton.url, ask, key=key)
    assert [voice.name for voice in Info.from_event(info).tts[0].voices] == ["me"]
    assert "this key may not use this voice" in Error.from_event(told).text


def test_each_connection_is_a_line_in_the_log(triton: FakeTriton, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="bark_gateway.access")

    async def speak(connection: AsyncTcpClient) -> None:
        await connection.write_event(Synthesize("One.").event())
        await until(connection, AudioStop)
        await connection.write_event(Synthesize(" ").event())
        await until(connection)

    talk(triton.url, speak)
    (line,) = [json.loads(record.message) for record in caplog.records if record.name == "bark_gateway.access"]
    assert (line["method"], line["key"], line["client"]) == ("WYOMING", "anybody", "127.0.0.1")
    assert (line["bytes"], line["outcome"]) == (len(tone(1)), "refused")


@pytest.mark.parametrize("in_pieces", [False, True])
def test_each_text_is_a_span_around_its_speeches(triton: FakeTriton, in_pieces: bool) -> None:
    async def speak(connection: AsyncTcpClient) -> None:
        if not in_pieces:
            await connection.write_event(Synthesize(ONE).event())
            await until(connection, AudioStop)
            return
        for event in (SynthesizeStart(), SynthesizeChunk(f"{ONE} {TWO}"), SynthesizeStop()):
            await connection.write_event(event.event())
        await until(connection, SynthesizeStopped)

    seen = Seen()
    talk(triton.url, speak, tracing=seen.tracing)
    *speeches, text = seen.finished()
    assert [span.name for span in speeches] == ["speech"] * (2 if in_pieces else 1)
    assert text.name == "WYOMING synthesize" and text.parent is None
    assert {span.parent.span_id for span in speeches if span.parent} == {text.context.span_id}
    parents = [f"00-{text.context.trace_id:032x}-{span.context.span_id:016x}" for span in speeches]
    assert [one.rpartition("-")[0] for one in triton.traceparents] == parents


def test_a_connection_that_says_nothing_is_closed(triton: FakeTriton) -> None:
    async def wait(connection: AsyncTcpClient) -> list[Event]:
        await connection.write_event(Ping(text="here").event())
        return await until(connection)

    (pong,) = talk(triton.url, wait, socket_idle_s=0.3)
    assert Pong.from_event(pong).text == "here"


def test_a_client_that_begins_a_text_and_says_nothing_more_is_closed(triton: FakeTriton) -> None:
    async def wait(connection: AsyncTcpClient) -> list[Event]:
        await connection.write_event(SynthesizeStart().event())
        await connection.write_event(SynthesizeChunk(f"{ONE} And").event())
        return await until(connection)

    assert sound(talk(triton.url, wait, socket_idle_s=0.3)) == tone(1)


def test_a_speech_that_takes_long_is_not_silence(triton: FakeTriton) -> None:
    more = threading.Event()

    def behave(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Any:
        yield chunk(0, 2)
        more.wait(WAIT_S)
        yield last_chunk(inputs, 1, 2)
        yield final()

    triton.plan.append(behave)

    async def speak(connection: AsyncTcpClient) -> bytes:
        await connection.write_event(Synthesize("One. Two.").event())
        first = await until(connection, AudioChunk)
        asyncio.get_running_loop().call_later(0.5, more.set)
        return sound(first + await until(connection, AudioStop))

    assert talk(triton.url, speak, socket_idle_s=0.1) == tone(2)
