"""Which server speaks, and what happens while none answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import cast

import httpx2
import pytest

from bark_client import AsyncBarkClient
from bark_gateway.load import Work
from bark_gateway.servers import Servers
from tests.bark_gateway.served import Served
from tests.client.fake_triton import FakeTriton, free_port, hang

SPEECH = "/v1/audio/speech"
BACK_S = 5


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + BACK_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ready(url: str) -> bool:
    return httpx2.get(f"{url}/health/ready").status_code == 200


def test_without_a_server_the_answer_is_503_within_a_second(serve: Callable[..., Served]) -> None:
    url = serve(f"127.0.0.1:{free_port()}").url
    for _ in range(2):  # before the first look at the server, and after it
        began = time.monotonic()
        answer = httpx2.post(url + SPEECH, json={"input": "Hello."})
        assert time.monotonic() - began < 1
        assert answer.status_code == 503 and answer.headers["retry-after"] == "1"
        assert answer.json()["error"]["code"] == "server_unavailable"
        wait_until(lambda: not ready(url))
    assert httpx2.get(f"{url}/v1/audio/voices").status_code == 503
    assert httpx2.get(f"{url}/health/live").status_code == 200


def test_a_server_that_is_full_gets_nothing_while_another_one_has_room() -> None:
    servers = Servers(["one:1", "two:1"], connect=lambda url: cast(AsyncBarkClient, None), max_active=2)
    with ExitStack() as lent:
        long = lent.enter_context(servers.lend(Work(seconds=1_000.0)))
        others = [lent.enter_context(servers.lend(Work(seconds=1.0))) for _ in range(3)]
        assert [other is long for other in others] == [False, False, True]
        assert lent.enter_context(servers.lend()).url in ("one:1", "two:1")  # rather than refuse it


def test_a_server_that_comes_back_is_used_again(serve: Callable[..., Served]) -> None:
    port = free_port()
    url = serve(f"127.0.0.1:{port}").url
    wait_until(lambda: not ready(url))
    late = FakeTriton(port)
    try:
        wait_until(lambda: ready(url))
        assert httpx2.post(url + SPEECH, json={"input": "Hello."}).status_code == 200
    finally:
        late.close()


def test_a_server_whose_model_is_not_loaded_gets_no_request(serve: Callable[..., Served], triton: FakeTriton) -> None:
    triton.ready = False
    url = serve().url
    wait_until(lambda: not ready(url))
    assert httpx2.post(url + SPEECH, json={"input": "Hello."}).status_code == 503
    assert triton.requests == []


def test_the_server_with_the_fewest_requests_speaks(
    serve: Callable[..., Served], triton: FakeTriton, other: FakeTriton
) -> None:
    triton.plan.append(hang(after_chunks=1))
    url = serve(triton.url, other.url).url
    with httpx2.stream("POST", url + SPEECH, json={"input": "Hello.", "response_format": "pcm"}) as slow:
        audio = slow.iter_raw()
        assert next(audio)
        for _ in range(3):
            assert httpx2.post(url + SPEECH, json={"input": "Hello."}).status_code == 200
    assert (len(triton.requests), len(other.requests)) == (1, 3)


def test_another_server_speaks_when_one_is_dead(serve: Callable[..., Served], triton: FakeTriton) -> None:
    url = serve(f"127.0.0.1:{free_port()}", triton.url).url
    wait_until(lambda: httpx2.post(url + SPEECH, json={"input": "Hello."}).status_code == 200)
    assert httpx2.post(url + SPEECH, json={"input": "Hello."}).status_code == 200


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health_is_said_in_a_word(http: httpx2.Client, path: str) -> None:
    assert http.get(path).json() == {"status": path.rpartition("/")[2]}
