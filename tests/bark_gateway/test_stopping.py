"""A gateway that was told to stop: its port answers in words until what runs has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx2
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.bark_gateway.served import Served
from tests.bark_gateway.test_refusals import SPEECH, refused
from tests.bark_gateway.test_servers import wait_until
from tests.bark_gateway.wyoming_talk import speak_halfway
from tests.client.fake_triton import CHUNK, FakeTriton

SPOKEN = {"input": "One. Two.", "response_format": "pcm"}


@pytest.fixture
def stopping(serve: Callable[..., Served], triton: FakeTriton) -> Iterator[tuple[Served, Iterator[bytes]]]:
    """A gateway that stops while it still speaks a text, and the rest of that text's audio."""
    triton.plan.append(speak_halfway)
    gateway = serve(grace_s=20.0)
    with httpx2.stream("POST", gateway.url + SPEECH, json=SPOKEN, timeout=20) as answer:
        pieces = answer.iter_raw()
        assert next(pieces)
        gateway.server.should_exit = True
        wait_until(gateway.gateway.stopping.is_set)
        yield gateway, pieces
        triton.release.set()


def test_a_new_request_is_refused_in_words(stopping: tuple[Served, Iterator[bytes]]) -> None:
    gateway, _ = stopping
    answer = httpx2.post(gateway.url + SPEECH, json={"input": "Too late."})
    assert refused(answer, 503)["code"] == "stopping" and "This gateway is stopping" in answer.text
    assert (answer.headers["retry-after"], answer.headers["connection"]) == ("1", "close")


def test_a_new_websocket_is_refused_in_words(stopping: tuple[Served, Iterator[bytes]]) -> None:
    gateway, _ = stopping
    with pytest.raises(InvalidStatus) as refusal:
        connect(gateway.url.replace("http", "ws") + "/v1/audio/speech/stream")
    assert refusal.value.response.status_code == 503 and b"stopping" in (refusal.value.response.body or b"")


def test_it_is_live_and_not_ready(stopping: tuple[Served, Iterator[bytes]]) -> None:
    gateway, _ = stopping
    assert httpx2.get(f"{gateway.url}/health/live").status_code == 200
    assert httpx2.get(f"{gateway.url}/health/ready").status_code == 503


def test_what_ran_is_spoken_to_its_end_and_the_port_is_closed_then(
    stopping: tuple[Served, Iterator[bytes]], triton: FakeTriton
) -> None:
    gateway, pieces = stopping
    triton.release.set()
    assert sum(map(len, pieces)) >= 2 * CHUNK  # the second sentence
    wait_until(lambda: is_closed(gateway.url))


def is_closed(url: str) -> bool:
    try:
        httpx2.get(f"{url}/health/live")
    except httpx2.TransportError:
        return True
    return False
