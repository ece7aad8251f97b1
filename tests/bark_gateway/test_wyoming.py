"""The protocol of Home Assistant, spoken by Wyoming's own client: voices, texts and sentences."""

from __future__ import annotations

from collections.abc import AsyncIterator

from wyoming.audio import AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeStopped, SynthesizeVoice

from tests.bark_gateway.wyoming_talk import (
    ONE,
    TWO,
    VOICE,
    kinds,
    sound,
    talk,
    tone,
    until,
)
from tests.client.fake_triton import (
    SAMPLE_RATE,
    FakeTriton,
    say_error,
)


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


def test_a_text_that_was_not_stopped_ends_where_the_next_one_begins(triton: FakeTriton) -> None:
    async def speak(connection: AsyncTcpClient) -> list[Event]:
        for event in (SynthesizeStart(), SynthesizeChunk(ONE), SynthesizeStart(), SynthesizeChunk(TWO)):
            await connection.write_event(event.event())
        await connection.write_event(SynthesizeStop().event())
        return await until(connection, SynthesizeStopped)

    assert sound(talk(triton.url, speak)) == 2 * tone(1)
    assert [request["text"] for request in triton.requests] == [ONE.encode(), TWO.encode()]


async def _events(connection: AsyncTcpClient) -> AsyncIterator[Event]:
    while (event := await connection.read_event()) is not None:
        yield event
