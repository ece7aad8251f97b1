"""Servers that say nothing: how long they are waited for, and what is said then."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from bark_client import (
    RequestTimeout,
    ServerUnavailable,
)
from tests.client.fake_triton import (
    FakeTriton,
    beat,
    hang,
    hang_before_final,
    speak,
)


def test_silence_before_any_audio_times_out_and_cancels_on_the_server(client: Any, triton: FakeTriton) -> None:
    triton.plan.append(hang())
    start = time.monotonic()
    with pytest.raises(RequestTimeout, match=r"no answer for 0\.3 s \(before any audio\)"):
        client.speak("Hello.", answer_timeout=0.3)
    assert 0.25 < time.monotonic() - start < 2
    assert triton.cancelled.acquire(timeout=3)
    assert len(triton.requests) == 1


def test_silence_in_mid_stream_times_out_and_cancels_on_the_server(client: Any, triton: FakeTriton) -> None:
    triton.plan.append(hang(after_chunks=2))
    with (
        pytest.raises(RequestTimeout, match=r"no answer for 0\.3 s \(after 0\.2 s of audio\)"),
        client.stream("Hello.", answer_timeout=0.3) as stream,
    ):
        for _ in stream:
            pass
    assert len(stream.chunks) == 2, "what has come stays at hand"
    assert triton.cancelled.acquire(timeout=3)


def test_the_whole_request_has_a_limit_of_its_own(client: Any, triton: FakeTriton) -> None:
    triton.plan.append(hang(after_chunks=1))
    start = time.monotonic()
    with pytest.raises(RequestTimeout, match="timeout"):
        client.speak("Hello.", timeout=0.4)
    assert 0.3 < time.monotonic() - start < 2
    assert triton.cancelled.acquire(timeout=3)


def test_the_clients_limits_hold_where_a_request_names_none(connect: Callable[..., Any], triton: FakeTriton) -> None:
    triton.plan.extend([hang(), hang()])
    with pytest.raises(RequestTimeout):
        connect(triton.url, timeout=0.3).speak("Hello.")
    with pytest.raises(RequestTimeout):
        connect(triton.url, answer_timeout=0.3).speak("Hello.")


def test_a_port_that_accepts_but_never_answers_is_given_up_in_time(connect: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        start = time.monotonic()
        with pytest.raises((ServerUnavailable, RequestTimeout)):
            connect(f"127.0.0.1:{mute.getsockname()[1]}", connect_timeout=0.5).speak("Hello.")
        assert time.monotonic() - start < 4


@pytest.mark.parametrize("answer_timeout", [300.0, None])
def test_a_closing_message_is_not_waited_for_as_long_as_audio(
    connect: Callable[..., Any], triton: FakeTriton, monkeypatch: pytest.MonkeyPatch, answer_timeout: float | None
) -> None:
    monkeypatch.setattr("bark_client.exchange.FINAL_GRACE_S", 0.2)
    triton.plan.append(hang_before_final)
    start = time.monotonic()
    assert connect(triton.url, answer_timeout=answer_timeout).speak("Hello.", seed=2).seed == 2
    assert time.monotonic() - start < 2
    assert triton.cancelled.acquire(timeout=3)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client looks at a silent server soon, and gives one up soon that does not answer."""
    monkeypatch.setattr("bark_client.silence.LOOK_AFTER_S", 0.05)
    monkeypatch.setattr("bark_client.silence.LOOK_EVERY_S", 0.05)
    for module in ("exchange", "silence"):
        monkeypatch.setattr(f"bark_client.{module}.GONE_S", 0.3)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", [hang(after_chunks=1), beat(after_chunks=1, times=2)])
def test_a_stream_ends_when_the_process_that_spoke_has_died(client: Any, triton: FakeTriton, fault: Any) -> None:
    triton.plan.append(fault)
    words = r"after 0\.1 s of audio: the process that spoke died"
    with pytest.raises(ServerUnavailable, match=words), client.stream("Hello.") as stream:
        for _ in stream:
            triton.ready = False
    assert triton.cancelled.acquire(timeout=3)


@pytest.mark.usefixtures("impatient")
def test_a_request_whose_process_died_before_any_audio_is_sent_again(client: Any, triton: FakeTriton) -> None:
    def speak_again(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Any:
        server.ready = True
        return speak(server, inputs, context)

    triton.ready = False
    triton.plan.extend([beat(times=1), speak_again])
    assert client.speak("Hello.").seconds > 0
    assert len(triton.requests) >= 2


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("after_chunks", [0, 1])
def test_a_stream_of_a_server_that_hangs_ends_in_words(
    connect: Callable[..., Any], triton: FakeTriton, after_chunks: int
) -> None:
    triton.plan.extend([hang(after_chunks=after_chunks)] * 100)
    triton.frozen.set()
    start = time.monotonic()
    with pytest.raises(ServerUnavailable, match="did not answer for"):
        connect(triton.url, connect_timeout=0.5).speak("Hello.")
    assert time.monotonic() - start < 5


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("call", [lambda client: client.voices(), lambda client: client.delete_voice("joe")])
def test_every_other_call_to_a_server_that_hangs_ends_in_words(
    connect: Callable[..., Any], triton: FakeTriton, call: Callable[[Any], Any]
) -> None:
    triton.hang_unary.set()
    triton.frozen.set()
    start = time.monotonic()
    with pytest.raises(ServerUnavailable, match="did not answer for"):
        call(connect(triton.url, connect_timeout=0.5))
    assert time.monotonic() - start < 5


def test_a_look_at_a_server_takes_no_longer_than_the_call(
    connect: Callable[..., Any], triton: FakeTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bark_client.silence.LOOK_AFTER_S", 0.05)
    triton.hang_unary.set()
    triton.frozen.set()
    client = connect(triton.url, timeout=0.5)
    start = time.monotonic()
    assert not client.health(timeout=0.3).ready
    with pytest.raises(RequestTimeout):
        client.voices()
    assert time.monotonic() - start < 4


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", [hang(), beat()])
def test_a_server_that_is_there_may_take_as_long_as_the_caller_allows(
    client: Any, triton: FakeTriton, fault: Any
) -> None:
    """Heartbeats are no answers: they do not make the caller wait longer."""
    triton.plan.append(fault)
    start = time.monotonic()
    with pytest.raises(RequestTimeout, match=r"no answer for 0\.6 s"):
        client.speak("Hello.", answer_timeout=0.6)
    assert 0.55 < time.monotonic() - start < 5
    assert len(triton.requests) == 1


@pytest.mark.usefixtures("impatient")
def test_a_server_whose_heart_stops_is_given_up(
    client: Any, triton: FakeTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bark_client.silence.MAX_SILENT_S", 0.3)
    triton.plan.append(beat(after_chunks=1, times=2))
    with pytest.raises(ServerUnavailable, match="has been silent for"):
        client.speak("Hello.")
