"""HTTP/1.0, as older proxies and `ab` speak it: no chunks, and the end of the connection ends the body."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from tests.bark_gateway.served import Served
from tests.bark_gateway.test_keys import SECRET, key
from tests.bark_gateway.test_speech import SPEECH, tones

TEXT = {"input": "One. Two.", "response_format": "pcm"}


def ask(url: str, *, version: str = "1.0", method: str = "POST", path: str = SPEECH, more: str = "") -> socket.socket:
    """A connection on which a request was sent."""
    place, body = urlsplit(url), json.dumps(TEXT).encode() if method == "POST" else b""
    connection = socket.create_connection((str(place.hostname), place.port or 0), timeout=10)
    head = f"{method} {path} HTTP/{version}\r\nhost: {place.netloc}\r\ncontent-type: application/json\r\n"
    connection.sendall(f"{head}content-length: {len(body)}\r\n{more}\r\n".encode() + body)
    return connection


def answer(connection: socket.socket) -> tuple[str, bytes]:
    """Head and body of an answer, up to the end of the connection."""
    data = b""
    with connection:
        while some := connection.recv(1 << 16):
            data += some
    head, _, body = data.partition(b"\r\n\r\n")
    return head.decode().lower(), body


def test_the_end_of_the_connection_ends_a_speech(gateway: Served) -> None:
    head, body = answer(ask(gateway.url))
    assert " 200 " in head and "connection: close" in head
    assert "transfer-encoding" not in head and "content-length" not in head
    assert body == tones(2)


def test_a_client_that_asks_to_keep_the_connection_is_told_that_it_ends(gateway: Served) -> None:
    head, body = answer(ask(gateway.url, more="connection: keep-alive\r\n"))
    assert "connection: close" in head and body == tones(2)


def test_newer_clients_get_chunks_as_before(gateway: Served) -> None:
    head, body = answer(ask(gateway.url, version="1.1", more="connection: close\r\n"))
    assert "transfer-encoding: chunked" in head and body.endswith(b"0\r\n\r\n")


def test_an_answer_of_known_length_says_it(gateway: Served) -> None:
    head, body = answer(ask(gateway.url, method="GET", path="/v1/models"))
    assert f"content-length: {len(body)}" in head and json.loads(body)["object"] == "list"


def test_a_refusal_is_whole(serve: Callable[..., Served]) -> None:
    head, body = answer(ask(serve(keys=[key()]).url, more="authorization: Bearer x\r\n"))
    assert " 401 " in head and json.loads(body)["error"]["code"] and SECRET not in head
