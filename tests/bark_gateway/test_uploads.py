"""Bodies that arrive slowly or never: whose turn it is, and what nobody reads."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.bark_gateway.served import Served
from tests.bark_gateway.test_keys import SECRET, key
from tests.bark_gateway.test_refusals import refused
from tests.bark_gateway.test_servers import wait_until
from tests.client.fake_triton import FakeTriton

ENCODE = "/page/encode/wav"
PATHS = [ENCODE, "/v1/audio/voices"]
BEARER = {"authorization": f"Bearer {SECRET}"}


@contextmanager
def begun(url: str, path: str = ENCODE, *, token: str = "") -> Iterator[socket.socket]:
    """An upload whose body does not come."""
    place = urlsplit(url)
    head = f"POST {path} HTTP/1.1\r\nhost: {place.netloc}\r\ncontent-length: 100000\r\n"
    head += "content-type: multipart/form-data; boundary=x\r\n"
    with socket.create_connection((str(place.hostname), place.port or 0), timeout=5) as connection:
        connection.sendall((head + (f"authorization: Bearer {token}\r\n" if token else "") + "\r\n").encode())
        yield connection


@pytest.mark.parametrize("path", [*PATHS, "/v1/audio/speech", "/v1/audio/speech/batch"])
def test_a_body_without_a_key_is_refused_before_it_is_read(serve: Callable[..., Served], path: str) -> None:
    with begun(serve(keys=[key()]).url, path) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 401 ")


def test_a_body_of_another_type_is_refused_before_it_is_read(serve: Callable[..., Served]) -> None:
    with begun(serve().url, "/v1/audio/speech") as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_a_client_that_is_refused_while_it_sends_sees_the_answer(serve: Callable[..., Served]) -> None:
    url = serve(keys=[key()]).url + ENCODE
    for _ in range(10):  # a closed connection would be a reset, now and then
        assert httpx2.post(url, content=b"\0" * (8 << 20)).status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_does_not_arrive_is_refused_in_the_end(serve: Callable[..., Served], path: str) -> None:
    with begun(serve(body_s=0.2).url, path) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_an_upload_is_read_when_it_is_its_turn(serve: Callable[..., Served]) -> None:
    gateway = serve(max_voice_requests=1)
    with ThreadPoolExecutor() as threads:
        with begun(gateway.url):
            wait_until(gateway.gateway.uploads.locked)
            second = threads.submit(httpx2.post, gateway.url + ENCODE, content=b"1234", timeout=20)
            wait_until(lambda: bool(gateway.gateway.uploads._waiters))
        assert second.result().status_code == 200  # the first has left


def test_uploads_and_previews_count_as_requests_under_way(serve: Callable[..., Served], triton: FakeTriton) -> None:
    gateway = serve(keys=[key(requests_in_flight=1)])
    with begun(gateway.url, token=SECRET):
        wait_until(lambda: gateway.gateway.quotas.in_flight(key()) == 1)
        for answer in (
            httpx2.post(gateway.url + ENCODE, content=b"1234", headers=BEARER),
            httpx2.get(f"{gateway.url}/v1/audio/voices/me/preview", headers=BEARER),
        ):
            assert refused(answer, 429)["code"] == "too_many_requests_in_flight"
    wait_until(lambda: gateway.gateway.quotas.in_flight(key()) == 0)
    assert httpx2.post(gateway.url + ENCODE, content=b"1234", headers=BEARER).status_code == 200
