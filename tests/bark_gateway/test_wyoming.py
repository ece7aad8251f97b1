"""The protocol of Home Assistant, spoken by Wyoming's own client."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeStopped, SynthesizeVoice

from bark_client.audio import pcm16
from bark_gateway.gateway import Gateway
from bark_gateway.keys import ANYBODY, Key, KeyRing
from bark_gateway.servers import Servers, connect
from bark_gateway.settings import Settings
from bark_gateway.wyoming import NO_TRACING, wyoming
from bark_tracing import Tracing
from tests.bark_gateway.test_tracing import Seen
from tests.client.fake_triton import (
    CHUNK,
    SAMPLE_RATE,
    Answers,
    FakeTriton,
    chunk,
    final,
    free_port,
    hang,
    last_chunk,
    say_error,
)

WAIT_S = 10
VOICE = "v2/en_speaker_6"
ONE, TWO = "It is nice to see you this morning.", "Come in and sit down by the fire."


@asynccontextmanager
async def listening(
    url: str, *, key: Key = ANYBODY, tracing: Tracing = NO_TRACING, **settings: Any
) -> AsyncIterator[int]:
    """A gateway that speaks Wyoming only; its port."""
    joined = partial(connect, connect_timeout_s=0.8, answer_timeout_s=20.0)
    async with Servers([url], connect=joined) as servers:
        gateway = Gateway(Settings(servers=(url,), **settings), servers=servers, keys=KeyRing())
        listener = socket.create_server(("127.0.0.1", 0))
        async with wyoming(gateway, listener=listener, key=key, tracing=tracing):
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


def test_home_assistant_learns_the_voices_and_that_text_may_stream(triton: FakeTriton) -> None:
    async def ask(connection: AsyncTcpClient) -> Info:
        await connection.write_event(Describe().event())
        (event,) = await until(connection, Info)
        return Info.from_event(event)

    (program,) = talk(triton.url, ask, voices={"assistant": VOICE}).tts
    assert program.installed and program.supports_synthesize_streaming
    languages = {voice.name: voice.languages for voice in program.voices}
    assert languages[VOICE] == languages["assistant"] == ["en"]
    assert "de" in languages["me"] and len(languages["me"]) == 13  # its language is not known
    assert all(voice.installed for voice in program.voices)


def test_a_text_is_spoken_with_its_voice(triton: FakeTriton) -> None:
    async def speak(connection: AsyncTcpClient) -> list[Event]:
        await connection.write_event(Synthesize("One. Two.", voice=SynthesizeVoice(name=VOICE)).event())
        return await until(connection, AudioStop)

    events = talk(triton.url, speak)
    assert kinds(events) == ["audio-start", "audio-chunk", "audio-stop"]
    start = AudioStart.from_event(events[0])
    assert (start.rate, start.width, start.channels) == (SAMPLE_RATE, 2, 1)
    assert sound(events) == tone(2)
    assert AudioStop.from_event(events[-1]).timestamp == 200
    assert triton.requests[0]["voice"] == VOICE.encode()
    assert triton.requests[0]["text"] == b"One. Two."


def test_several_texts_of_a_connection_are_spoken_in_order(triton: FakeTriton) -> None:
    async def speak(connection: AsyncTcpClient) -> list[bytes]:
        for text in ("One.", "One. Two."):
            await connection.write_event(Synthesize(text).event())
        return [sound(await until(connection, AudioStop)) for _ in range(2)]

    assert talk(triton.url, speak) == [tone(1), tone(2)]


def test_a_sentence_is_heard_before_the_next_one_is_written(triton: FakeTriton) -> None:
    async def speak(connection: AsyncTcpClient) -> list[Event]:
        await connection.write_event(SynthesizeStart(voice=SynthesizeVoice(name=VOICE)).event())
        for text in (ONE[:9], f"{ONE[9:]} {TWO[:8]}"):
            await connection.write_event(SynthesizeChunk(text).event())
        events = [await anext(_events(connection)) for _ in range(2)]
        assert sound(events)
        await connection.write_event(SynthesizeChunk(TWO[8:]).event())
        # as Home Assistant does, for servers that take no pieces
        await connection.write_event(Synthesize(f"{ONE} {TWO}").event())
        await connection.write_event(SynthesizeStop().event())
        return events + await until(connection, SynthesizeStopped)

    events = talk(triton.url, speak)
    assert kinds(events) == ["audio-start", "audio-chunk", "audio-stop", "synthesize-stopped"]
    assert sound(events) == 2 * tone(1)
    assert [request["text"] for request in triton.requests] == [ONE.encode(), TWO.encode()]
    assert {request["voice"] for request in triton.requests} == {VOICE.encode()}


def test_a_sentence_that_fails_does_not_end_the_others(triton: FakeTriton) -> None:
    triton.plan.append(say_error("[INVALID_ARGUMENT] the text holds no letter."))

    async def speak(connection: AsyncTcpClient) -> list[Event]:
        await connection.write_event(SynthesizeStart().event())
        await connection.write_event(SynthesizeChunk(f"{ONE} {TWO} ").event())
        await connection.write_event(SynthesizeStop().event())
        return await until(connection, SynthesizeStopped)

    events = talk(triton.url, speak)
    assert kinds(events) == ["error", "audio-start", "audio-chunk", "audio-stop", "synthesize-stopped"]
    assert "no letter" in Error.from_event(events[0]).text


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
    assert "this key may use not the voice" in Error.from_event(told).text


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


def test_a_text_that_was_not_stopped_ends_where_the_next_one_begins(triton: FakeTriton) -> None:
    async def speak(connection: AsyncTcpClient) -> list[Event]:
        for event in (SynthesizeStart(), SynthesizeChunk(ONE), SynthesizeStart(), SynthesizeChunk(TWO)):
            await connection.write_event(event.event())
        await connection.write_event(SynthesizeStop().event())
        return await until(connection, SynthesizeStopped)

    assert sound(talk(triton.url, speak)) == 2 * tone(1)
    assert [request["text"] for request in triton.requests] == [ONE.encode(), TWO.encode()]


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


async def _events(connection: AsyncTcpClient) -> AsyncIterator[Event]:
    while (event := await connection.read_event()) is not None:
        yield event
