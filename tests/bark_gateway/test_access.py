"""What is done with every request: its id, its line in the log, and who may call from a browser."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx2
import pytest
from websockets.exceptions import InvalidStatus

from tests.bark_gateway.served import Served
from tests.bark_gateway.test_keys import SECRET, key, post
from tests.bark_gateway.test_refusals import refused
from tests.bark_gateway.test_servers import wait_until
from tests.bark_gateway.test_socket import connected, heard, say
from tests.bark_gateway.test_voices import VOICES, clip
from tests.client.fake_triton import FakeTriton, hang, say_error

SPEECH = "/v1/audio/speech"
OTHER = {"origin": "https://example.org"}


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [json.loads(one.message) for one in caplog.records if one.name == "bark_gateway.access"]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="bark_gateway.access")
    return caplog


def test_each_request_is_a_line_of_json(serve: Callable[..., Served], log: pytest.LogCaptureFixture) -> None:
    answer = post(serve(keys=[key()]).url, response_format="pcm")
    wait_until(lambda: bool(lines(log)))
    (line,) = lines(log)
    assert (line["key"], line["method"], line["path"], line["status"]) == ("kitchen", "POST", SPEECH, 200)
    assert line["bytes"] == len(answer.content) and line["id"] == answer.headers["x-request-id"]
    assert 0 < float(str(line["first_byte_s"])) <= float(str(line["seconds"]))
    assert SECRET not in log.text and "Hello" not in log.text


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [("[INVALID_ARGUMENT] top_k: it is too high", "refused"), ("it broke", "server_failed")],
)
def test_the_log_tells_a_wrong_request_from_a_failure(
    serve: Callable[..., Served], triton: FakeTriton, log: pytest.LogCaptureFixture, fault: str, outcome: str
) -> None:
    triton.plan.append(say_error(fault))
    post(serve(keys=[key()]).url)
    wait_until(lambda: bool(lines(log)))
    assert lines(log)[0]["outcome"] == outcome


GETS = [
    "/", "/page/main.js", "/health/live", "/health/ready", "/metrics", "/openapi.json", "/v1/models", "/v1/models/bark",
    VOICES, f"{VOICES}/joe", f"{VOICES}/joe/preview", f"{VOICES}/nobody", "/nope", SPEECH,
]  # fmt: skip


@pytest.mark.parametrize("path", GETS)
def test_head_is_answered_as_get_without_the_body(http: httpx2.Client, path: str) -> None:
    asked, got = http.head(path), http.get(path)
    assert (asked.status_code, asked.content) == (got.status_code, b"")
    assert asked.headers["content-type"] == got.headers["content-type"]
    if path != "/metrics":  # their length changes
        assert asked.headers["content-length"] == got.headers["content-length"] == str(len(got.content))


def test_head_is_counted_and_logged(serve: Callable[..., Served], log: pytest.LogCaptureFixture) -> None:
    gateway = serve()
    httpx2.head(f"{gateway.url}/v1/models/bark")
    wait_until(lambda: bool(lines(log)))
    (line,) = lines(log)
    assert (line["method"], line["status"], line["bytes"]) == ("HEAD", 200, 0)
    assert 'path="/v1/models/{name}",status="200"' in httpx2.get(f"{gateway.url}/metrics").text


def test_each_socket_is_a_line_of_json_and_is_counted(
    serve: Callable[..., Served], log: pytest.LogCaptureFixture
) -> None:
    gateway = serve(keys=[key()])
    with pytest.raises(InvalidStatus) as refusal, connected(gateway):
        pass
    wait_until(lambda: len(lines(log)) == 1)
    with connected(gateway, additional_headers={"authorization": f"Bearer {SECRET}"}) as socket:
        say(socket, "start", response_format="pcm")
        say(socket, "text", text="Hello.")
        say(socket, "end")
        _, audio = heard(socket, until="done")
    wait_until(lambda: len(lines(log)) == 2)
    refused_line, line = lines(log)
    assert refused_line["id"] == refusal.value.response.headers["x-request-id"]
    assert (refused_line["key"], refused_line["status"], refused_line["outcome"]) == (None, 401, "missing_api_key")
    assert (line["key"], line["status"], line["bytes"]) == ("kitchen", 101, len(audio))
    metrics = gateway.gateway.metrics.text().decode()
    for status in (101, 401):
        counted = f'bark_gateway_http_requests_total{{path="/v1/audio/speech/stream",status="{status}"}} 1.0'
        assert counted in metrics


def test_a_bug_is_answered_logged_and_counted_like_any_other_error(
    serve: Callable[..., Served], log: pytest.LogCaptureFixture
) -> None:
    gateway = serve(cors=("*",))
    gateway.gateway.servers.ask = broken  # type: ignore[method-assign, assignment]
    answer = httpx2.get(gateway.url + VOICES, headers=OTHER)
    assert refused(answer, 500)["code"] == "internal_error"
    assert answer.headers["access-control-allow-origin"] == "*"
    wait_until(lambda: bool(lines(log)))
    assert (lines(log)[0]["status"], lines(log)[0]["outcome"]) == (500, "internal_error")
    assert 'status="500"} 1.0' in gateway.gateway.metrics.text().decode()
    assert "it is broken" in log.text


async def broken(question: object) -> None:
    raise RuntimeError("it is broken")


def test_an_id_of_the_client_is_kept(http: httpx2.Client) -> None:
    answer = http.get("/v1/models", headers={"x-request-id": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"
    assert http.get("/v1/models", headers={"x-request-id": "<b>"}).headers["x-request-id"] != "<b>"


def test_the_log_says_that_a_client_left(
    http: httpx2.Client, triton: FakeTriton, log: pytest.LogCaptureFixture
) -> None:
    triton.plan.append(hang())
    with pytest.raises(httpx2.ReadTimeout):
        http.post(SPEECH, json={"input": "Hello."}, timeout=0.3)
    wait_until(lambda: bool(lines(log)))
    assert lines(log)[0]["outcome"] == "left"


@pytest.mark.parametrize("path", [SPEECH, VOICES, "/v1/audio/speech/batch"])
def test_the_log_says_that_a_client_left_within_its_body(
    gateway: Served, log: pytest.LogCaptureFixture, path: str
) -> None:
    kind = "multipart/form-data; boundary=x" if path == VOICES else "application/json"
    place = urlsplit(gateway.url)
    head = f"POST {path} HTTP/1.1\r\nhost: {place.netloc}\r\ncontent-type: {kind}\r\ncontent-length: 1000\r\n\r\n"
    with socket.create_connection((str(place.hostname), place.port or 0), timeout=5) as connection:
        connection.sendall(head.encode() + b"-")
    wait_until(lambda: bool(lines(log)))
    assert (lines(log)[0]["status"], lines(log)[0]["outcome"]) == (499, "left")


def test_a_consent_is_in_the_log(http: httpx2.Client, log: pytest.LogCaptureFixture) -> None:
    http.post(VOICES, data={"name": "anna", "consent": "Anna, by mail"}, files={"audio_sample": clip()})
    wait_until(lambda: bool(lines(log)))
    assert lines(log)[0]["consent"] == "Anna, by mail"


def test_health_is_not_logged(http: httpx2.Client, log: pytest.LogCaptureFixture) -> None:
    http.get("/health/live")
    http.get("/v1/models")
    wait_until(lambda: bool(lines(log)))
    assert [line["path"] for line in lines(log)] == ["/v1/models"]


def test_pages_of_other_sites_may_not_call(gateway: Served, http: httpx2.Client, triton: FakeTriton) -> None:
    refused(http.post(SPEECH, json={"input": "Hello."}, headers=OTHER), 403)
    refused(http.post(VOICES, data={"name": "x"}, files={"audio_sample": clip()}, headers=OTHER), 403)
    with pytest.raises(InvalidStatus) as refusal, connected(gateway, origin="https://example.org"):
        pass
    assert refusal.value.response.status_code == 403
    assert triton.requests == [] and "x" not in triton.voices.stored


@pytest.mark.parametrize(
    ("name", "settings", "status"),
    [
        ("evil.example.org", {}, 403),
        ("127.0.0.1.example.org", {}, 403),
        ("[evil.example.org", {}, 403),
        ("evil.example.org", {"hosts": ("speech.example.org",)}, 403),
        ("speech.example.org", {"hosts": ("Speech.example.org",)}, 200),
        ("speech.example.org", {"cors": ("*",)}, 200),
        ("evil.example.org", {"keys": [key()]}, 200),
        *((name, {}, 200) for name in ("localhost", "127.0.0.1", "[::1]", "192.168.0.7", "gateway", "kitchen.local")),
    ],
)
def test_without_keys_a_site_whose_name_leads_here_may_not_call(
    serve: Callable[..., Served], name: str, settings: dict[str, object], status: int
) -> None:
    """Its pages have the Origin of the gateway's own page. Where there are keys, they lack one."""
    url = serve(**settings).url
    host = f"{name}:8080"
    headers = {"host": host, "authorization": f"Bearer {SECRET}"}
    assert httpx2.get(url + VOICES, headers=headers).status_code == status
    answer = httpx2.post(url + SPEECH, json={"input": "Hello."}, headers={**headers, "origin": f"http://{host}"})
    assert answer.status_code == status


def test_the_page_of_the_gateway_may_call(http: httpx2.Client, gateway: Served) -> None:
    assert http.post(SPEECH, json={"input": "Hello."}, headers={"origin": gateway.url}).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"), [("https://example.org", 200), ("https://evil.example.org", 400), ("null", 400)]
)
def test_a_page_of_a_site_that_is_named_may_send_any_header(
    serve: Callable[..., Served], origin: str, status: int
) -> None:
    """OpenAI's client for JavaScript sends those that begin with x-stainless, and tracing sends traceparent."""
    url = serve(cors=("https://example.org",)).url
    headers = "authorization,content-type,traceparent,x-request-id,x-stainless-arch,x-stainless-retry-count"
    asked = {"access-control-request-method": "POST", "access-control-request-headers": headers}
    answer = httpx2.options(url + SPEECH, headers={"origin": origin, **asked})
    assert answer.status_code == status
    assert ("access-control-allow-origin" in answer.headers) == (status == 200)
    if status == 200:
        assert {one.strip() for one in answer.headers["access-control-allow-headers"].split(",")} >= set(
            headers.split(",")
        )


@pytest.mark.parametrize("cors", ["https://example.org", "*"])
def test_pages_of_a_site_that_is_named_may_call(serve: Callable[..., Served], cors: str) -> None:
    url = serve(cors=(cors,)).url
    asked = {**OTHER, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    assert httpx2.options(url + SPEECH, headers=asked).headers["access-control-allow-origin"] == cors
    answer = httpx2.post(url + SPEECH, json={"input": "Hello."}, headers=OTHER)
    assert answer.status_code == 200
    assert "x-bark-seed" in answer.headers["access-control-expose-headers"]
