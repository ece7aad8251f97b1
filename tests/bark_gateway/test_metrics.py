"""What Prometheus sees of a gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.bark_gateway.served import Served
from tests.bark_gateway.test_keys import SECRET, key, post
from tests.bark_gateway.test_refusals import refused
from tests.bark_gateway.test_servers import wait_until
from tests.client.fake_triton import FakeTriton, abort, hang, say_error

SPEECH = "/v1/audio/speech"


def metrics(url: str) -> dict[tuple[str, ...], float]:
    """Values by name and values of labels."""
    text = httpx2.get(f"{url}/metrics").text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def outcomes(url: str) -> dict[str, float]:
    return {
        name[1]: value for name, value in metrics(url).items() if name[0] == "bark_gateway_speeches_total" and value
    }  # fmt: skip


def test_a_speech_is_counted_with_its_times(serve: Callable[..., Served]) -> None:
    url = serve().url
    post(url, input="Hello. There.")
    seen = metrics(url)
    assert outcomes(url) == {"spoken": 1}
    assert seen["bark_gateway_audio_seconds_total",] == pytest.approx(0.2)
    assert seen["bark_gateway_characters_total",] == 13
    assert seen["bark_gateway_first_audio_seconds_count",] == seen["bark_gateway_real_time_factor_count",] == 1
    assert 0 < seen["bark_gateway_first_audio_seconds_sum",] < 5
    assert seen["bark_gateway_http_requests_total", SPEECH, "200"] == 1


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [
        (say_error("[INVALID_ARGUMENT] there is no voice 'x'."), "refused"),
        (say_error("[INTERNAL] piece 1 is babble."), "failed"),
        (abort(grpc.StatusCode.UNAVAILABLE), "unavailable"),
        (say_error("[INTERNAL] it broke.", after_chunks=1), "failed"),
    ],
)
def test_a_speech_that_fails_is_counted_by_its_kind(
    serve: Callable[..., Served], triton: FakeTriton, behaviour: Any, outcome: str
) -> None:
    url = serve().url
    triton.plan.extend([behaviour] * 20)
    try:
        post(url)
    except httpx2.RemoteProtocolError:
        assert "it broke" in str(behaviour.__closure__[2].cell_contents)
    assert outcomes(url) == {outcome: 1}


def test_a_client_that_left_is_counted(serve: Callable[..., Served], triton: FakeTriton) -> None:
    url = serve().url
    triton.plan.append(hang(after_chunks=1))
    with httpx2.stream("POST", url + SPEECH, json={"input": "x", "response_format": "pcm"}) as answer:
        audio = answer.iter_raw()
        next(audio)
        assert metrics(url)["bark_gateway_active",] == 1
    wait_until(lambda: outcomes(url) == {"left": 1})
    assert metrics(url)["bark_gateway_active",] == 0


def test_takes_that_were_spoken_again_are_counted(serve: Callable[..., Served], triton: FakeTriton) -> None:
    url = serve().url
    triton.plan.append(speak_in_three_takes)
    post(url)
    assert metrics(url)["bark_gateway_retries_total",] == 2


def speak_in_three_takes(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Any:
    from tests.client.fake_triton import chunk, final

    piece = {"text": "Hello.", "start": 0.0, "seconds": 0.1, "voice": None, "verdict": "good", "attempts": 3}
    yield chunk(0, 1, report={"last": True, "sample_rate": 24_000, "seed": 1, "pieces": [piece]})
    yield final()


def test_a_server_that_is_gone_is_seen(serve: Callable[..., Served], triton: FakeTriton) -> None:
    url = serve().url
    assert metrics(url)["bark_gateway_server_up", triton.url] == 1
    triton.ready = False
    wait_until(lambda: metrics(url)["bark_gateway_server_up", triton.url] == 0)


def test_the_paths_of_answers_are_few(serve: Callable[..., Served]) -> None:
    url = serve().url
    for path in ("/v1/models/a", "/v1/models/b", "/nope", "/nope2"):
        httpx2.get(url + path)
    seen = metrics(url)
    assert seen["bark_gateway_http_requests_total", "/v1/models/{name}", "404"] == 2
    assert seen["bark_gateway_http_requests_total", "other", "404"] == 2


def test_metrics_need_a_key_where_there_are_keys(serve: Callable[..., Served]) -> None:
    url = serve(keys=[key()]).url
    refused(httpx2.get(f"{url}/metrics"), 401)
    answer = httpx2.get(f"{url}/metrics", headers={"authorization": f"Bearer {SECRET}"})
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=0.0.4")
