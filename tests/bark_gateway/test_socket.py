"""The WebSocket: text in fragments, audio per sentence."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from bark_gateway.keys import Key, hashed
from bark_gateway.requests import HowToSpeak
from tests.bark_gateway.decoded import decode
from tests.bark_gateway.served import Served
from tests.bark_gateway.test_servers import wait_until
from tests.bark_gateway.test_speech import tones
from tests.bark_gateway.wyoming_talk import speak_halfway
from tests.client.fake_triton import CHUNK, FakeTriton, hang, say_error

ONE, TWO = "This is the first sentence.", "This is the second sentence."
Event = dict[str, Any]


@contextmanager
def connected(gateway: Served, **more: Any) -> Iterator[ClientConnection]:
    with connect(gateway.url.replace("http", "ws") + "/v1/audio/speech/stream", **more) as socket:
        yield socket


@pytest.fixture
def socket(gateway: Served) -> Iterator[ClientConnection]:
    with connected(gateway) as socket:
        yield socket


def say(socket: ClientConnection, kind: str, **fields: Any) -> None:
    socket.send(json.dumps({"type": kind, **fields}))


def heard(socket: ClientConnection, *, until: str) -> tuple[list[Event], bytes]:
    """All events up to one of this type, and all audio."""
    events: list[Event] = []
    audio = b""
    while not events or events[-1]["type"] != until:
        frame = socket.recv(timeout=10)
        if isinstance(frame, bytes):
            audio += frame
        else:
            events.append(json.loads(frame))
    return events, audio


def texts(triton: FakeTriton) -> list[str]:
    return [request["text"].decode() for request in triton.requests]


def test_a_sentence_is_spoken_as_soon_as_it_has_ended(socket: ClientConnection, triton: FakeTriton) -> None:
    say(socket, "start", response_format="pcm", seed=3)
    for piece in ("This is ", "the first sent", "ence. And"):
        say(socket, "text", text=piece)
    events, audio = heard(socket, until="piece.done")
    assert [event["type"] for event in events] == ["started", "piece", "piece.done"]
    assert events[0] == {"type": "started", "format": "pcm", "sample_rate": 24_000, "seed": "3"}
    assert events[1] == {"type": "piece", "piece": 0, "text": ONE}
    assert audio == tones(1) and texts(triton) == [ONE]


def test_the_rest_is_spoken_at_the_end_and_the_socket_closes(socket: ClientConnection, triton: FakeTriton) -> None:
    say(socket, "start", response_format="pcm")
    say(socket, "text", text=f"{ONE} {TWO} And so on")
    say(socket, "end")
    events, audio = heard(socket, until="done")
    assert [event["text"] for event in events if event["type"] == "piece"] == [ONE, TWO, "And so on"]
    assert events[-1] == {"type": "done", "pieces": 3, "seconds": pytest.approx(0.3)}
    assert audio == tones(1) * 3
    with pytest.raises(ConnectionClosed):
        socket.recv(timeout=5)


def test_flush_speaks_a_sentence_that_has_not_ended(socket: ClientConnection, triton: FakeTriton) -> None:
    say(socket, "text", text="Wait a")
    say(socket, "flush")
    events, _ = heard(socket, until="piece.done")
    assert events[1]["text"] == "Wait a"
    say(socket, "text", text="Go on then")
    say(socket, "end")
    heard(socket, until="done")
    assert texts(triton) == ["Wait a", "Go on then"]


@pytest.mark.parametrize(("space", "pause"), [(" ", "[pause 0.25s]"), ("\n\n", "[pause 0.5s]")])
def test_flush_changes_no_silence_between_sentences(
    socket: ClientConnection, triton: FakeTriton, space: str, pause: str
) -> None:
    say(socket, "start", sentence_pause=0.25, paragraph_pause=0.5)
    for text in (ONE, f"{space}{TWO}"):
        say(socket, "text", text=text)
        say(socket, "flush")
    say(socket, "end")
    heard(socket, until="done")
    assert texts(triton) == [ONE, f"{pause}{TWO}"]


@pytest.mark.parametrize("kind", ["mp3", "opus", "aac", "flac", "wav"])
def test_each_sentence_is_a_file_of_its_own(socket: ClientConnection, kind: str) -> None:
    say(socket, "start", response_format=kind)
    say(socket, "text", text=f"{ONE} {TWO} ")
    for _ in range(2):
        say(socket, "flush")
        _, audio = heard(socket, until="piece.done")
        assert decode(audio, format=kind).size >= CHUNK


def test_cancel_stops_what_is_spoken_and_forgets_the_rest(socket: ClientConnection, triton: FakeTriton) -> None:
    triton.plan.append(hang(after_chunks=1))
    say(socket, "start", response_format="pcm")
    say(socket, "text", text=f"{ONE} {TWO} And")
    heard(socket, until="piece")
    assert isinstance(socket.recv(timeout=10), bytes)  # audio: the server has begun
    say(socket, "cancel")
    heard(socket, until="cancelled")
    assert triton.cancelled.acquire(timeout=5)
    say(socket, "text", text="Something else, please.")
    say(socket, "end")
    events, audio = heard(socket, until="done")
    assert [event["text"] for event in events if event["type"] == "piece"] == ["Something else, please."]
    assert audio == tones(1)


def test_an_error_is_that_of_one_sentence(socket: ClientConnection, triton: FakeTriton) -> None:
    triton.plan.append(say_error("[INTERNAL] piece 1 is babble."))
    say(socket, "text", text=f"{ONE} {TWO} ")
    say(socket, "end")
    events, _ = heard(socket, until="done")
    assert [event["type"] for event in events] == ["started", "piece", "error", "piece", "piece.done", "done"]
    assert events[2]["piece"] == 0 and events[2]["error"]["message"] == "piece 1 is babble."


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("{", "JSON object"),
        ('{"type": "start", "seed": ' + 5_000 * "7" + "}", "JSON object"),
        ("[]", "start, text, flush"),
        ('{"type": "shout"}', "start, text, flush"),
        ('{"type": "text"}', "text: it is missing"),
        ('{"type": "text", "text": 7}', "string"),
        (f'{{"type": "text", "text": "{"x" * 20_001}"}}', "text: it has 20001 characters; at most 20000"),
        ('{"type": "start", "speed": 9}', "speed"),
        ('{"type": "start", "voice": "x.npz"}', "voice"),
        ('{"type": "start", "instructions": "Sound happy."}', "Bark follows none"),
        ('{"type": "start", "langauge": "en"}', "Did you mean language?"),
        ('{"type": "start", "split_sentences": false}', "split_sentences"),
        ('{"type": "start", "top_k": 3000000000}', "top_k"),
        ('{"type": "flush", "text": "x"}', "no such field"),
        (b"\xff", "JSON object"),
    ],
)
def test_a_wrong_message_is_an_error_and_the_socket_lives(
    socket: ClientConnection, data: str | bytes, words: str
) -> None:
    socket.send(data)
    events, _ = heard(socket, until="error")
    assert events[-1]["piece"] is None and words in events[-1]["error"]["message"]
    say(socket, "text", text="Hello.")
    say(socket, "end")
    heard(socket, until="done")


@pytest.mark.parametrize(
    "wrong",
    [
        '{"type": "start", "speed": 9}',
        '{"type": "start", "voice": "joe"',
        b'{"type": "start", \xff',
        '{"type": "Start"}',
    ],
)
def test_no_text_is_spoken_in_another_way_than_was_asked_for(
    socket: ClientConnection, triton: FakeTriton, wrong: str
) -> None:
    socket.send(wrong)
    heard(socket, until="error")
    for kind, fields in (("text", {"text": ONE}), ("flush", {}), ("cancel", {})):
        say(socket, kind, **fields)
        error = heard(socket, until="error")[0][-1]["error"]
        assert error["code"] == "not_started" and "Send one that is right" in error["message"]
    say(socket, "start", response_format="pcm")
    say(socket, "text", text=TWO)
    say(socket, "end")
    events, audio = heard(socket, until="done")
    assert events[0]["format"] == "pcm" and audio == tones(1) and texts(triton) == [TWO]


@pytest.mark.parametrize(
    "wrong", ["{", "[]", "null", "7", '{"type": "txet", "text": "start"}', '{"type": ["start"]}', b"\xff", "hello"]
)
def test_a_garbled_message_that_is_no_start_does_not_ask_for_one(
    socket: ClientConnection, triton: FakeTriton, wrong: str | bytes
) -> None:
    socket.send(wrong)
    heard(socket, until="error")
    say(socket, "text", text=ONE)
    say(socket, "end")
    heard(socket, until="done")
    assert texts(triton) == [ONE]


def test_a_client_that_ends_after_a_refused_start_is_closed(socket: ClientConnection, triton: FakeTriton) -> None:
    say(socket, "start", speed=9)
    say(socket, "text", text=ONE)
    say(socket, "end")
    assert heard(socket, until="done")[0][-1]["pieces"] == 0
    assert triton.requests == []


def test_null_is_as_if_a_field_were_left_out(socket: ClientConnection, triton: FakeTriton) -> None:
    say(socket, "start", **dict.fromkeys(HowToSpeak.model_fields))
    say(socket, "text", text=ONE)
    say(socket, "end")
    events, _ = heard(socket, until="done")
    assert events[0]["type"] == "started" and events[0]["format"] == "mp3"
    assert triton.requests[0].keys() == {"text", "seed", "stream", "return_tokens"}


def test_it_starts_once_and_ends_once(socket: ClientConnection, triton: FakeTriton) -> None:
    triton.plan.append(hang())
    say(socket, "start")
    say(socket, "start")
    assert heard(socket, until="error")[0][-1]["error"]["code"] == "started"
    say(socket, "text", text="Hello.")
    say(socket, "end")
    say(socket, "text", text="More.")
    assert heard(socket, until="error")[0][-1]["error"]["code"] == "ended"


def test_without_a_voice_one_speaker_says_it_all(socket: ClientConnection, triton: FakeTriton) -> None:
    say(socket, "text", text=f"{ONE} {TWO} ")
    say(socket, "end")
    heard(socket, until="done")
    assert "semantic_prompt" not in triton.requests[0] and "semantic_prompt" in triton.requests[1]


def test_a_tag_of_a_voice_counts_on(socket: ClientConnection, triton: FakeTriton) -> None:
    say(socket, "text", text=f"[voice:me] {ONE} {TWO} ")
    say(socket, "end")
    heard(socket, until="done")
    assert texts(triton)[1].startswith("[voice:me]")


def test_a_key_can_name_no_other_voice_in_a_tag(serve: Callable[..., Served], triton: FakeTriton) -> None:
    gateway = serve(keys=[Key(name="x", sha256=hashed("secret"), voices=("me",))])
    with connected(gateway, additional_headers={"authorization": "Bearer secret"}) as socket:
        say(socket, "start", voice="me", response_format="pcm")
        say(socket, "text", text=f"{ONE} [voice:joe] {TWO} ")
        say(socket, "end")
        events, _ = heard(socket, until="done")
    assert [event["error"]["code"] for event in events if event["type"] == "error"] == ["voice_not_allowed"]
    assert texts(triton) == [ONE]


def test_a_client_that_leaves_stops_the_speech(gateway: Served, triton: FakeTriton) -> None:
    triton.plan.append(hang(after_chunks=1))
    with connected(gateway) as socket:
        say(socket, "text", text=f"{ONE} ")
        say(socket, "end")
        heard(socket, until="piece")
        wait_until(lambda: bool(triton.requests))
    assert triton.cancelled.acquire(timeout=5)
    wait_until(lambda: gateway.gateway.sockets == 0 and gateway.gateway.gate.active == 0)


def test_what_was_sent_is_spoken_when_the_gateway_stops(serve: Callable[..., Served], triton: FakeTriton) -> None:
    triton.plan.append(speak_halfway)
    gateway = serve(grace_s=10)
    with connected(gateway) as socket, connected(gateway) as unused:
        say(socket, "start", response_format="pcm")
        say(socket, "text", text=f"{ONE} And so")
        heard(socket, until="piece")
        assert socket.recv(timeout=10)  # the server has begun
        gateway.server.should_exit = True
        with pytest.raises(ConnectionClosed) as closed:
            unused.recv(timeout=10)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
        say(socket, "text", text="This is too late.")
        assert heard(socket, until="error")[0][-1]["error"]["code"] == "stopping"
        triton.release.set()
        heard(socket, until="done")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=10)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
    assert texts(triton) == [ONE, "And so"]


def test_a_speech_that_outlasts_the_grace_time_is_cut_off(serve: Callable[..., Served], triton: FakeTriton) -> None:
    triton.plan.append(hang(after_chunks=1))
    gateway = serve(grace_s=0.2)
    with connected(gateway) as socket:
        say(socket, "text", text=f"{ONE} And")
        heard(socket, until="piece")
        gateway.server.should_exit = True
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                socket.recv(timeout=10)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
    assert triton.cancelled.acquire(timeout=5)


def test_a_silent_client_is_told_and_closed(serve: Callable[..., Served]) -> None:
    with connected(serve(socket_idle_s=0.2)) as socket:
        assert heard(socket, until="error")[0][-1]["error"]["code"] == "idle"
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=5)


def test_a_socket_needs_a_key_where_there_are_keys(serve: Callable[..., Served]) -> None:
    gateway = serve(keys=[Key(name="x", sha256=hashed("secret"))])
    with pytest.raises(InvalidStatus) as refusal, connected(gateway):
        pass
    assert refusal.value.response.status_code == 401
    assert "invalid" not in (refusal.value.response.body or b"").decode()
    with connected(gateway, additional_headers={"authorization": "Bearer secret"}) as socket:
        say(socket, "end")
        heard(socket, until="done")
    with connected(gateway, subprotocols=["bark", "bark-key.secret"]) as socket:
        assert socket.subprotocol == "bark"


def test_more_sockets_than_allowed_are_refused(serve: Callable[..., Served]) -> None:
    gateway = serve(max_sockets=1)
    with connected(gateway), pytest.raises(InvalidStatus) as refusal, connected(gateway):
        pass
    assert refusal.value.response.status_code == 429
