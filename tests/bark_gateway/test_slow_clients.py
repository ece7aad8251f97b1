"""Clients that take audio no faster than it plays, and those that take none. Time goes twenty times as fast."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any

import httpx2
import pytest
import uvicorn
from websockets.sync.client import connect

from bark_gateway.formats import BIT_RATE
from bark_gateway.serving import UVICORN
from bark_gateway.settings import Settings
from tests.bark_gateway.served import Served
from tests.bark_gateway.test_cli import make_certificate
from tests.bark_gateway.test_servers import wait_until
from tests.client.fake_triton import CHUNK, Answers, FakeTriton, chunk

HURRY = 20
SEND_TIMEOUT_S = Settings().send_timeout_s / HURRY
BYTES_PER_S = BIT_RATE // 8 * HURRY  #: what a player takes
ASKED = {"response_format": "pcm"}
TEXT = "A story that does not end."
AT_ONCE = 50  #: chunks in an answer of the server: 5 s of audio
ANSWERS = 40  #: 9.6 MB
WITH_TLS = [pytest.param(way, marks=pytest.mark.slow) for way in ("https", "wss")]


def go_on(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Answers:
    """Speaks more than any buffer holds, faster than a client takes it. Then it waits until nobody listens."""
    answer = chunk(0, 1)
    made = answer.infer_response
    made.raw_output_contents[0] *= AT_ONCE
    made.outputs[0].shape[:] = [CHUNK * AT_ONCE]
    for _ in range(ANSWERS):
        yield answer
    while context.is_active():
        server.release.wait(0.05)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    options = make_certificate(tmp_path_factory.mktemp("tls"))
    return options[1::2]


@pytest.fixture(params=["http", "ws", *WITH_TLS])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def gateway(serve: Callable[..., Served], triton: FakeTriton, certificate: list[str], way: str) -> Iterator[Served]:
    """It waits for clients, and for the answers to its pings, a twentieth of the usual time."""
    triton.plan.append(go_on)
    usual = uvicorn.Config("", **UVICORN)
    pings = {"ws_ping_interval": usual.ws_ping_interval, "ws_ping_timeout": usual.ws_ping_timeout}
    options: dict[str, Any] = {name: seconds and seconds / HURRY for name, seconds in pings.items()}
    if way in ("https", "wss"):
        options |= {"ssl_certfile": certificate[0], "ssl_keyfile": certificate[1]}
    yield serve(send_timeout_s=SEND_TIMEOUT_S, uvicorn_options=options)
    triton.release.set()


@pytest.fixture
def audio(gateway: Served, certificate: list[str], way: str) -> Iterator[Generator[bytes]]:
    trusted = ssl.create_default_context(cafile=certificate[0]) if way in ("https", "wss") else None
    with closing((over_websocket if way.startswith("ws") else over_http)(gateway.url, trusted)) as pieces:
        yield pieces


def over_http(url: str, trusted: ssl.SSLContext | None) -> Generator[bytes]:
    body = {"input": TEXT, **ASKED}
    with httpx2.stream("POST", f"{url}/v1/audio/speech", json=body, verify=trusted or True, timeout=20) as answer:
        yield from answer.iter_raw()


def over_websocket(url: str, trusted: ssl.SSLContext | None) -> Generator[bytes]:
    """It holds one message, so that the gateway feels how fast it takes them."""
    address = f"ws{url.removeprefix('http')}/v1/audio/speech/stream"
    with connect(address, ssl=trusted, max_queue=1, close_timeout=1) as connection:
        for message in ({"type": "start", **ASKED}, {"type": "text", "text": TEXT}, {"type": "flush"}):
            connection.send(json.dumps(message))
        yield from (message for message in connection if isinstance(message, bytes))


def test_a_client_that_plays_what_it_takes_is_not_taken_for_gone(gateway: Served, audio: Iterator[bytes]) -> None:
    begun, taken = time.monotonic(), 0
    while time.monotonic() < begun + 2 * SEND_TIMEOUT_S:
        taken += len(next(audio))
        time.sleep(max(0, begun + taken / BYTES_PER_S - time.monotonic()))
    assert gateway.gateway.gate.active == 1


def test_a_client_that_takes_nothing_stops_the_work(
    gateway: Served, audio: Iterator[bytes], triton: FakeTriton
) -> None:
    assert next(audio)
    assert triton.cancelled.acquire(timeout=10)
    wait_until(lambda: gateway.gateway.gate.active == 0)
