"""A request whose server fails before the first audio goes to another one; later, it ends in words."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
import httpx2
import pytest

from bark_gateway import servers
from tests.bark_gateway.served import Served
from tests.bark_gateway.test_metrics import metrics
from tests.bark_gateway.test_servers import wait_until
from tests.client.fake_triton import Cable, FakeTriton, abort, final, hang, last_chunk, say_error

SPEECH = "/v1/audio/speech"
STOPPING = say_error("[UNAVAILABLE] the server is stopping.")


def post(url: str, **fields: Any) -> httpx2.Response:
    body = {"input": "Hello.", "response_format": "pcm", **fields}
    return httpx2.post(url + SPEECH, json=body, timeout=20)


@pytest.mark.parametrize(
    "failure",
    [
        STOPPING,
        say_error("Request for unknown model: 'bark' is not found"),
        say_error("Stub process 'bark_0_0' is not healthy."),
        abort(grpc.StatusCode.CANCELLED),
    ],
    ids=["stopping", "unloaded", "stub", "cancelled"],
)
def test_what_one_server_can_not_speak_another_one_speaks(
    serve: Callable[..., Served], triton: FakeTriton, other: FakeTriton, failure: Any
) -> None:
    triton.plan.extend([failure] * 20)
    url = serve(triton.url, other.url).url
    answer = post(url)
    assert answer.status_code == 200
    assert len(other.requests) == 1
    assert str(other.requests[0]["seed"]) == str(triton.requests[0]["seed"]) == answer.headers["x-bark-seed"]
    seen = metrics(url)
    assert seen["bark_gateway_server_speeches_total", "moved", triton.url] == 1
    assert seen["bark_gateway_server_speeches_total", "spoken", other.url] == 1
    assert seen["bark_gateway_speeches_total", "spoken"] == 1


def test_a_server_that_failed_rests_while_another_one_is_there(
    serve: Callable[..., Served], triton: FakeTriton, other: FakeTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "REST_S", 30.0)
    triton.plan.extend([say_error("Stub process 'coarse_0_0' is not healthy.")] * 20)
    url = serve(triton.url, other.url).url
    assert [post(url).status_code for _ in range(6)] == [200] * 6
    assert len(triton.requests) == 1  # although it never has anything to do


def test_what_is_wrong_with_the_request_is_asked_once(
    serve: Callable[..., Served], triton: FakeTriton, other: FakeTriton
) -> None:
    triton.plan.append(say_error("[INVALID_ARGUMENT] the text holds no letter."))
    answer = post(serve(triton.url, other.url).url)
    assert answer.status_code == 400 and other.requests == []


def test_a_request_that_breaks_each_server_is_tried_twice(
    serve: Callable[..., Served], triton: FakeTriton, other: FakeTriton
) -> None:
    third = FakeTriton()
    try:
        for server in (triton, other, third):
            server.plan.append(say_error("[INTERNAL] the stage failed."))
        answer = post(serve(triton.url, other.url, third.url).url)
        assert "the stage failed" in answer.json()["error"]["message"]
        assert [len(server.requests) for server in (triton, other, third)] == [1, 1, 0]
    finally:
        third.close()


def test_a_text_whose_takes_all_failed_is_tried_once_and_its_server_gets_the_next_one(
    serve: Callable[..., Served], triton: FakeTriton, other: FakeTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "REST_S", 30.0)
    bad_text = say_error("[SPEECH_FAILED] piece 1 ('Hello.') failed 3 times: its last take is short.")
    for server in (triton, other):
        server.plan.append(bad_text)
    url = serve(triton.url, other.url).url
    assert [post(url).status_code for _ in range(4)] == [422, 422, 200, 200]
    assert [len(server.requests) for server in (triton, other)] == [2, 2]


def test_a_voice_that_one_server_has_is_found(
    serve: Callable[..., Served], triton: FakeTriton, other: FakeTriton
) -> None:
    triton.plan.append(say_error("[INVALID_ARGUMENT] there is no voice 'new'; `bark voice list` shows more."))
    assert post(serve(triton.url, other.url).url, voice="new").status_code == 200
    for server in (triton, other):
        server.plan.append(
            say_error("[INVALID_ARGUMENT] there is no voice 'no'; `bark voice list` shows those it has.")
        )
    assert post(serve(triton.url, other.url).url, voice="no").status_code == 400


def test_after_the_first_audio_a_loss_is_told(
    serve: Callable[..., Served], triton: FakeTriton, other: FakeTriton
) -> None:
    triton.plan.append(abort(grpc.StatusCode.UNAVAILABLE, after_chunks=1))
    answer = post(serve(triton.url, other.url).url, stream_format="sse", seed=7)
    events = answer.text.strip().split("\n\n")
    assert events[0].startswith("data: ") and events[-1].startswith("event: error")
    assert "lost after 0.1 s of audio" in events[-1] and "seed 7" in events[-1] and "server_lost" in events[-1]
    assert other.requests == []


def test_a_silent_server_loses_what_it_had(serve: Callable[..., Served], triton: FakeTriton, other: FakeTriton) -> None:
    cable = Cable(triton.port)
    begun, waiting = hang(after_chunks=1), hang()
    triton.plan.extend([begun, waiting])
    gateway = serve(cable.url, lost_s=1.0)
    answers: list[httpx2.Response] = []
    asked = [threading.Thread(target=lambda: answers.append(post(gateway.url, stream_format="sse"))) for _ in range(2)]
    for thread in asked:
        thread.start()
    wait_until(lambda: len(triton.requests) == 2)
    cable.silence()
    began = time.monotonic()
    for thread in asked:
        thread.join(20)
    assert time.monotonic() - began < 5
    assert sorted(answer.status_code for answer in answers) == [200, 503]  # one of them had audio already
    assert {"server_lost" in answer.text for answer in answers} == {True, False}
    wait_until(lambda: gateway.gateway.servers.problem != "")


def test_a_slow_server_that_still_speaks_is_not_lost(serve: Callable[..., Served], triton: FakeTriton) -> None:
    def behave(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Any:
        time.sleep(2.0)
        yield last_chunk(inputs, 0, 1)
        yield final()

    triton.plan.append(behave)
    assert post(serve(lost_s=0.8).url).status_code == 200
