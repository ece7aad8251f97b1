"""What happens when it goes wrong: errors and retries. What takes too long is in `test_silence`."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from bark_client import (
    AsyncBarkClient,
    BarkError,
    InvalidRequest,
    RequestCancelled,
    RequestTimeout,
    ServerError,
    ServerUnavailable,
    SpeechFailed,
)
from bark_client.errors import error_from_status, error_from_text
from tests.client.asking import error_of
from tests.client.fake_triton import (
    Behaviour,
    Cable,
    FakeTriton,
    abort,
    end_early,
    free_port,
    hang,
    port_of_another_kind,
    say_error,
    speak_without_final,
)


@pytest.fixture
def cable(triton: FakeTriton) -> Iterator[Cable]:
    cable = Cable(triton.port)
    yield cable
    cable.cut()


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        (
            "[INVALID_ARGUMENT] top_k: -1 is below 1; give 1 or more",
            InvalidRequest,
            "top_k: -1 is below 1; give 1 or more",
        ),
        ("[INTERNAL] the fine stage failed", ServerError, "the fine stage failed"),
        ("[SPEECH_FAILED] piece 1 failed 3 times", SpeechFailed, "piece 1 failed 3 times"),
        ("[CANCELLED] the server is stopping", RequestCancelled, "the server is stopping"),
        ("[DEADLINE_EXCEEDED] a stage took too long", RequestTimeout, "a stage took too long"),
        ("Failed to process, message: [INVALID_ARGUMENT] no such voice", InvalidRequest, "no such voice"),
        ("unexpected inference input 'bogus'", ServerError, "unexpected inference input 'bogus'"),
        ("[INVALID_ARGUMENT]", InvalidRequest, "invalid argument"),
    ],
)
def test_the_code_in_a_servers_text_chooses_the_error(
    client: Any, triton: FakeTriton, text: str, kind: type[BarkError], sentence: str
) -> None:
    triton.plan.append(say_error(text))
    with pytest.raises(BarkError) as caught:
        client.speak("Hello.")
    assert type(caught.value) is kind
    assert str(caught.value) == sentence
    assert len(triton.requests) == 1, "none of these may be sent again"


def test_triton_s_own_words_for_a_server_that_stops_mean_unavailable() -> None:
    for error in (
        error_from_text("Server not ready", url="host:1"),
        error_from_text("[UNAVAILABLE] semantic: Server not ready", url="host:1"),
        error_from_status("UNAVAILABLE", "Server not ready", url="host:1"),
    ):
        assert isinstance(error, ServerUnavailable)
        assert str(error).startswith("the server at host:1 is stopping, or has just started")


def test_triton_s_own_words_for_a_missing_model_mean_unavailable() -> None:
    error = error_from_text("Request for unknown model: 'bark' is not found", url="h:1")
    assert type(error) is ServerUnavailable
    assert "h:1" in str(error)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("UNAVAILABLE", ServerUnavailable),
        ("DEADLINE_EXCEEDED", RequestTimeout),
        ("CANCELLED", RequestCancelled),
        ("INVALID_ARGUMENT", InvalidRequest),
        ("INTERNAL", ServerError),
        ("UNIMPLEMENTED", ServerError),
    ],
)
def test_a_status_of_grpc_becomes_the_error_of_its_meaning(code: str, kind: type[BarkError]) -> None:
    error = error_from_status(code, "details", url="h:1")
    assert type(error) is kind
    assert "h:1" in str(error) or kind is RequestCancelled


def test_a_bad_request_does_not_spoil_the_client(client: Any, triton: FakeTriton) -> None:
    triton.plan.append(say_error("[INVALID_ARGUMENT] no"))
    with pytest.raises(InvalidRequest):
        client.speak("Hello.")
    assert client.speak("Hello.").seconds > 0


def test_a_server_that_comes_up_late_is_waited_for(connect: Callable[..., Any]) -> None:
    port = free_port()
    late: list[FakeTriton] = []
    starter = threading.Timer(0.5, lambda: late.append(FakeTriton(port)))
    starter.start()
    try:
        assert connect(f"127.0.0.1:{port}", connect_timeout=10).speak("Hello.").seconds > 0
        assert len(late[0].requests) == 1
    finally:
        starter.join()
        late[0].close()


def test_a_server_that_never_comes_up_is_given_up_in_time_with_the_remedy(connect: Callable[..., Any]) -> None:
    start, port = time.monotonic(), free_port()
    with pytest.raises(ServerUnavailable, match=f"`bark-serve up --grpc-port {port}`"):
        connect(f"127.0.0.1:{port}", connect_timeout=0.5).speak("Hello.")
    assert 0.4 < time.monotonic() - start < 2


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", "an HTTP server"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "another server"),
    ],
)
def test_a_port_where_another_kind_of_server_answers_is_told_from_no_server(
    connect: Callable[..., Any], answer: bytes, what: str
) -> None:
    with port_of_another_kind(answer) as port:
        url = f"127.0.0.1:{port}"
        client = connect(url, connect_timeout=0.3)
        with pytest.raises(ServerUnavailable, match=rf"^{what} answers at {url}, .* gRPC port, usually 8001"):
            client.speak("Hello.")


def test_a_port_that_closes_every_connection_is_told_from_no_server(connect: Callable[..., Any]) -> None:
    """As Triton's HTTP port does."""
    with port_of_another_kind() as port:
        url = f"127.0.0.1:{port}"
        said = rf"^the connection to {url} was closed: .* gRPC port, usually 8001"
        with pytest.raises(ServerUnavailable, match=said):
            connect(url, connect_timeout=0.3).speak("Hello.")


@pytest.mark.parametrize("reason", ["Socket closed", "recvmsg:Connection reset by peer (104)"])
def test_a_server_that_dies_during_a_request_is_told_from_no_server(reason: str) -> None:
    error = error_from_status("UNAVAILABLE", f"Stream removed ({reason})", url="h:1")
    assert isinstance(error, ServerUnavailable) and str(error).startswith("the connection to h:1 was closed: ")


def test_a_refused_request_is_sent_again_before_any_audio(client: Any, triton: FakeTriton) -> None:
    triton.plan.extend([abort(grpc.StatusCode.UNAVAILABLE), say_error("[UNAVAILABLE] still loading")])
    assert client.speak("Hello.", seed=5).seed == 5
    assert len(triton.requests) == 3
    assert triton.requests[0] == triton.requests[2]


def test_nothing_is_sent_again_after_the_first_audio(client: Any, triton: FakeTriton) -> None:
    triton.plan.append(abort(grpc.StatusCode.UNAVAILABLE, after_chunks=1))
    with pytest.raises(ServerUnavailable, match=r"after 0\.1 s of audio"):
        client.speak("Hello.")
    assert len(triton.requests) == 1


def test_a_fault_of_the_server_is_not_answered_by_trying_again(client: Any, triton: FakeTriton) -> None:
    triton.plan.append(abort(grpc.StatusCode.INTERNAL))
    with pytest.raises(ServerError, match="INTERNAL"):
        client.speak("Hello.")
    assert len(triton.requests) == 1


@pytest.mark.parametrize(
    "fault",
    [
        say_error("[INTERNAL] no"), abort(grpc.StatusCode.INTERNAL, after_chunks=1), hang(after_chunks=1),
        abort(grpc.StatusCode.UNAVAILABLE, after_chunks=1), end_early(after_chunks=1, with_final=True),
    ],
    ids=["refused", "broken", "silent", "lost", "ended"],
)  # fmt: skip
def test_an_error_is_raised_again_however_often_the_caller_asks(
    client: Any, triton: FakeTriton, fault: Behaviour
) -> None:
    triton.plan.append(fault)
    with client.stream("Hello.", answer_timeout=0.5) as stream:
        with pytest.raises(BarkError) as first:
            list(stream)
        assert error_of(stream) is error_of(stream) is first.value
    assert error_of(stream) is first.value, "also after the block"
    assert len(triton.requests) == 1


def test_trying_again_ends_with_the_time_of_the_request(client: Any, triton: FakeTriton) -> None:
    triton.plan.extend([abort(grpc.StatusCode.UNAVAILABLE)] * 100)
    start = time.monotonic()
    with pytest.raises((ServerUnavailable, RequestTimeout)):
        client.speak("Hello.", timeout=0.5)
    assert time.monotonic() - start < 2
    assert 2 <= len(triton.requests) < 20, "attempts must thin out"


def test_a_connection_cut_in_mid_stream_is_an_error_at_once(
    connect: Callable[..., Any], triton: FakeTriton, cable: Cable
) -> None:
    triton.plan.append(hang(after_chunks=1))
    start = time.monotonic()
    with pytest.raises(ServerUnavailable, match="connection was lost"), connect(cable.url).stream("Hello.") as stream:
        for _ in stream:
            cable.cut()
    assert time.monotonic() - start < 3
    assert triton.cancelled.acquire(timeout=3)


@pytest.mark.parametrize("with_final", [True, False])
@pytest.mark.parametrize("after_chunks", [0, 1])
def test_a_stream_that_ends_without_the_last_chunk_is_the_servers_fault(
    client: Any, triton: FakeTriton, after_chunks: int, with_final: bool
) -> None:
    triton.plan.append(end_early(after_chunks=after_chunks, with_final=with_final))
    with pytest.raises(ServerError, match="without the last of the audio"):
        client.speak("Hello.")


def test_speech_that_is_complete_stays_so_when_the_closing_message_is_lost(client: Any, triton: FakeTriton) -> None:
    triton.plan.append(speak_without_final)
    assert client.speak("Hello.", seed=2).seed == 2
    assert len(triton.requests) == 1


def test_a_server_that_cancels_is_told_from_a_caller_that_does(client: Any, triton: FakeTriton) -> None:
    triton.plan.append(abort(grpc.StatusCode.CANCELLED))
    with pytest.raises(RequestCancelled):
        client.speak("Hello.")


def test_listing_voices_is_repeated_while_the_server_is_unavailable(client: Any, triton: FakeTriton) -> None:
    triton.unary_plan.extend([grpc.StatusCode.UNAVAILABLE] * 2)
    assert len(client.voices()) == 3
    triton.unary_plan.append(grpc.StatusCode.INTERNAL)
    with pytest.raises(ServerError):
        client.voices()


def test_async_requests_run_side_by_side_in_one_loop(triton: FakeTriton) -> None:
    async def main() -> list[int]:
        async with AsyncBarkClient(triton.url) as client:
            return [speech.seed for speech in await asyncio.gather(*(client.speak("Hi.", seed=n) for n in range(16)))]

    assert asyncio.run(main()) == list(range(16))
