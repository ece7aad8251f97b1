"""Texts that take several requests, by both clients, against the fake server."""

from __future__ import annotations

import asyncio
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from bark_client import (
    AsyncBarkClient,
    BarkClient,
    Chunk,
    InvalidRequest,
    Piece,
    ServerError,
    Summary,
    Voice,
)
from bark_client.long_stream import LongStream
from bark_client.long_text import gather
from bark_client.script import Script, first_speaker, request_seed
from tests.client.fake_triton import CHUNK, SAMPLE_RATE, FakeTriton, chunk, say_error, say_nothing, speak

SENTENCE = "This is the sentence number {} of a text which has many. "
TEXT = "".join(SENTENCE.format(number) for number in range(60))  # 3 400 characters: four requests


def lines() -> Iterator[str]:
    """The text, as it comes from a file or a language model."""
    for start in range(0, len(TEXT), 10):
        yield TEXT[start : start + 10]


def texts_of(triton: FakeTriton) -> list[str]:
    return [request["text"].decode() for request in triton.requests]


def test_a_text_in_pieces_is_spoken_whole_and_in_order(client: Any, triton: FakeTriton) -> None:
    with client.stream(lines()) as stream:
        chunks = list(stream)
        summary = stream.summary
    assert len(triton.requests) == 4
    assert " ".join(texts_of(triton)) == TEXT.strip()
    assert [chunk.sentence for chunk in chunks] == list(range(60))
    assert chunks[-1].sentences == 60
    assert summary.seconds == pytest.approx(60 * CHUNK / SAMPLE_RATE)
    assert [piece.text for piece in summary.pieces] == [SENTENCE.format(number).strip() for number in range(60)]
    assert [piece.start for piece in summary.pieces] == pytest.approx([n * CHUNK / SAMPLE_RATE for n in range(60)])
    assert summary.timings.stages["semantic"].calls == 4 * 2


def test_the_pieces_of_a_text_that_is_not_ended_are_known_as_far_as_it_was_heard(
    client: Any, triton: FakeTriton
) -> None:
    def break_off(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Iterator[Any]:
        """It says the piece of each chunk, as servers do."""
        yield chunk(0, 9, report={"piece": "What was heard."})
        yield from say_error("it broke")(server, inputs, context)

    triton.plan.extend([speak, break_off])
    with client.stream(lines()) as stream, pytest.raises(ServerError):
        list(stream)
    *earlier, last = stream.summary.pieces
    before = len(earlier) * CHUNK / SAMPLE_RATE
    assert [piece.text for piece in earlier] == [SENTENCE.format(number).strip() for number in range(len(earlier))]
    assert (last.text, last.start, last.seconds) == ("What was heard.", pytest.approx(before), CHUNK / SAMPLE_RATE)
    assert last.end == pytest.approx(stream.summary.seconds)


def test_speak_keeps_the_whole_of_a_text_in_pieces(client: Any) -> None:
    speech = client.speak(lines(), seed=3)
    assert speech.text == TEXT.strip()
    assert speech.samples.size == 60 * CHUNK
    assert len(speech.sentence_starts) == len(speech.pieces) == 60
    assert speech.sentence_starts[59] == pytest.approx(speech.pieces[59].start)
    assert speech.seed == 3


def test_a_stream_of_a_long_text_keeps_no_audio(client: Any) -> None:
    with client.stream(lines()) as stream:
        list(stream)
        with pytest.raises(InvalidRequest, match="the audio of a long text is not kept"):
            _ = stream.speech
        with pytest.raises(InvalidRequest, match="write the chunks as they come"):
            _ = stream.chunks


@pytest.mark.parametrize(("characters", "requests"), [(20_000, 1), (20_001, 13)])
def test_only_a_text_over_the_limit_of_a_request_takes_several(
    client: Any, triton: FakeTriton, characters: int, requests: int
) -> None:
    client.speak((TEXT * 6)[:characters], seed=1, voice="joe")
    assert len(triton.requests) == requests


def test_the_first_request_makes_the_speaker_of_the_others(client: Any, triton: FakeTriton) -> None:
    client.speak(lines())
    first, *others = triton.requests
    assert "semantic_prompt" not in first and first["return_tokens"]
    for other in others:
        assert other["coarse_prompt"].shape[1] > 0
        assert "return_tokens" not in other
        np.testing.assert_array_equal(other["semantic_prompt"], others[0]["semantic_prompt"])


def test_a_first_request_that_spoke_nothing_leaves_the_speaker_to_the_next(client: Any, triton: FakeTriton) -> None:
    triton.plan.append(say_nothing)
    client.speak(lines())
    assert "semantic_prompt" not in triton.requests[1] and triton.requests[1]["return_tokens"]
    assert "semantic_prompt" in triton.requests[2]


def test_a_given_voice_speaks_all_of_it(client: Any, triton: FakeTriton) -> None:
    client.speak(lines(), voice="joe", top_k=50)
    assert {request["voice"] for request in triton.requests} == {b"joe"}
    assert all(request["top_k"] == 50 and "return_tokens" not in request for request in triton.requests)


@pytest.mark.parametrize(
    ("options", "starts"),
    [
        ({}, ["", "[pause 0.3s]", ""]),
        ({"paragraph_pause": 0.0, "sentence_pause": 0.25}, ["", "", "[pause 0.25s]"]),
    ],
)
def test_silence_between_requests_is_that_between_sentences_and_paragraphs(
    client: Any, triton: FakeTriton, options: dict[str, float], starts: list[str]
) -> None:
    client.speak([f"[voice:jo]{SENTENCE * 4}\n\n", SENTENCE * 10], **options)
    texts = texts_of(triton)
    assert texts[0].startswith("[voice:jo]This")
    assert [text.partition("[voice:jo]")[0] for text in texts] == starts


def test_tokens_that_were_asked_for_are_those_of_all_requests(client: Any) -> None:
    assert client.speak(lines(), voice="joe", return_tokens=True).as_voice().frames == 4 * 13


def test_each_request_has_a_seed_made_from_the_given_one(client: Any, triton: FakeTriton) -> None:
    for _ in range(2):
        client.speak(lines(), seed=7)
    seeds = [request["seed"] for request in triton.requests]
    assert seeds[0] == 7
    assert seeds[:4] == seeds[4:] == [request_seed(7, index) for index in range(4)]
    assert len(set(seeds)) == 4


def test_without_a_seed_one_is_chosen_and_told(client: Any, triton: FakeTriton) -> None:
    seeds = [client.speak(lines()).seed for _ in range(2)]
    assert seeds[0] != seeds[1]
    assert [triton.requests[0]["seed"], triton.requests[4]["seed"]] == seeds


def test_at_most_one_request_is_ahead_of_the_reader(triton: FakeTriton) -> None:
    ahead = []
    with BarkClient(triton.url) as client, client.stream(TEXT * 7, voice="joe") as stream:
        next(iter(stream))
        deadline = time.monotonic() + 20
        while len(triton.requests) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)  # the server gives no event
        for chunk in stream:
            ahead.append(requests_ahead(triton, chunk))
    assert max(ahead) == 1
    assert len(triton.requests) > 10


def test_at_most_one_request_is_ahead_of_the_reader_with_asyncio(triton: FakeTriton) -> None:
    async def read() -> list[int]:
        ahead = []
        async with AsyncBarkClient(triton.url) as client, client.stream(TEXT * 7, voice="joe") as stream:
            await anext(stream)
            async with asyncio.timeout(20):
                while len(triton.requests) < 2:
                    await asyncio.sleep(0.01)
            async for chunk in stream:
                ahead.append(requests_ahead(triton, chunk))
        return ahead

    assert max(asyncio.run(read())) == 1
    assert len(triton.requests) > 10


def requests_ahead(triton: FakeTriton, chunk: Chunk) -> int:
    """How many requests were sent after that of the chunk."""
    count = len(triton.requests)
    read = next(one for one in range(count) if chunk.sentence < sentences(triton, one + 1))
    return count - 1 - read


def sentences(triton: FakeTriton, requests: int) -> int:
    return sum(text.count(".") for text in texts_of(triton)[:requests])


def test_speech_begins_before_the_text_ends(triton: FakeTriton) -> None:
    heard = threading.Event()

    def text() -> Iterator[str]:
        yield TEXT[:400]
        assert heard.wait(20), "no audio came before the end of the text"
        yield TEXT[400:]

    with BarkClient(triton.url) as client, client.stream(text()) as stream:
        for _ in stream:
            heard.set()
    assert sentences(triton, len(triton.requests)) == 60


class SilentRequest:
    """A request that speaks a megabyte of silence, in ten chunks."""

    summary, tokens = Summary(), None

    def __init__(self, text: str, **arguments: Any) -> None:
        self._chunks = (Chunk(np.zeros(25_000, np.float32), SAMPLE_RATE, 0, 1, False) for _ in range(10))

    def __enter__(self) -> None: ...

    def __exit__(self, *exc: object) -> None: ...

    def __iter__(self) -> Iterator[Chunk]:
        return self._chunks

    def cancel(self) -> None: ...


def test_memory_does_not_grow_with_the_audio() -> None:
    script = Script(voice="joe", seed=1, options={})
    tracemalloc.start()
    try:
        with LongStream(SilentRequest, gather(TEXT * 60), script=script) as stream:  # type: ignore[arg-type]
            seconds = sum(chunk.seconds for chunk in stream)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    megabytes = seconds * SAMPLE_RATE * 4 / 1e6
    assert megabytes > 100
    assert peak < 5e6


def test_a_wrong_option_is_refused_before_any_request(client: Any, triton: FakeTriton) -> None:
    with pytest.raises(InvalidRequest, match="top_k: expected an integer"):
        client.stream(lines(), top_k="many")
    with pytest.raises(InvalidRequest, match="several requests can't be spoken in one piece"):
        client.stream(lines(), split_sentences=False)
    assert triton.requests == []


@pytest.mark.parametrize("text", [(), ("", " "), ("\n", "* * *"), ("[pause 1s]",), " " * 20_001])
def test_a_text_without_a_word_is_refused(client: Any, triton: FakeTriton, text: Any) -> None:
    words = "^text: empty; give at least one word to speak$"
    with pytest.raises(InvalidRequest, match=words):
        client.speak(text)
    with client.stream(text) as stream, pytest.raises(InvalidRequest, match=words):
        next(stream)
    assert triton.requests == []


def test_an_awaited_text_that_ends_at_once_is_refused(triton: FakeTriton) -> None:
    async def nothing() -> AsyncIterator[str]:
        for word in ():
            yield word

    async def run() -> None:
        async with AsyncBarkClient(triton.url) as client, client.stream(nothing()) as stream:
            with pytest.raises(InvalidRequest, match="text: empty"):
                await anext(stream)

    asyncio.run(run())


def test_a_long_text_that_is_spoken_has_ended_however_often_the_caller_asks(client: Any) -> None:
    with client.stream(["One."]) as stream:
        assert len(list(stream)) == 1
        assert list(stream) == list(stream) == []


def test_pieces_of_no_text_are_refused(client: Any) -> None:
    with pytest.raises(InvalidRequest, match="fragments of type str, not int"):
        client.speak(["One.", 2])
    with pytest.raises(InvalidRequest, match="text: expected str, not bytes"):
        client.speak(b"One.")


def test_the_threaded_client_names_the_one_for_awaited_pieces(triton: FakeTriton) -> None:
    async def pieces() -> AsyncIterator[str]:
        yield "One."

    with BarkClient(triton.url) as client, pytest.raises(InvalidRequest, match="need AsyncBarkClient"):
        client.speak(pieces())  # type: ignore[arg-type]


def test_a_stream_that_was_not_entered_says_how(connect: Callable[..., Any], triton: FakeTriton) -> None:
    stream = connect(triton.url).stream(lines())
    with pytest.raises(RuntimeError, match="enter the stream first"):
        next(stream)
    with stream:
        assert len(list(stream)) == 60


TOKENS = Voice(np.arange(100), np.zeros((2, 150)), np.zeros((8, 150)))


def spoken(*pieces: Piece) -> Summary:
    return Summary(pieces=pieces)


@pytest.mark.parametrize("first", [Piece("A", 0, 2, voice="joe"), Piece("A", 0, 2, verdict="loop"), Piece("A", 0, 0.5)])
def test_the_speaker_is_the_first_piece_that_is_long_and_good_and_has_no_named_voice(first: Piece) -> None:
    speaker = first_speaker(TOKENS, spoken(first, Piece("B", 2.5, 2, verdict="good"), Piece("C", 5, 1)))
    assert speaker is not None
    total = first.seconds + 3
    start, end = (round(100 * seconds / total) for seconds in (first.seconds, first.seconds + 2))
    assert (speaker.semantic_prompt[0], speaker.semantic_prompt[-1]) == (start, end - 1)
    assert speaker.frames == round(150 * (first.seconds + 2) / total) - round(150 * first.seconds / total)


def test_without_a_long_good_piece_all_short_good_ones_are_the_speaker_or_none() -> None:
    short = Piece("A", 0, 0.5)
    assert first_speaker(TOKENS, spoken(short, short)) is TOKENS
    assert first_speaker(TOKENS, spoken(short, Piece("B", 1, 2, voice="joe"))) is None
    assert first_speaker(TOKENS, spoken(Piece("B", 1, 2, verdict="babble"))) is None
    assert first_speaker(TOKENS, spoken()) is None
    assert first_speaker(None, spoken(Piece("B", 1, 2))) is None
