"""`POST /v1/audio/speech/batch`: a result or an error for each item."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
import soundfile

from tests.bark_gateway.decoded import decode
from tests.bark_gateway.served import Served
from tests.bark_gateway.test_keys import SECRET, key
from tests.bark_gateway.test_refusals import refused
from tests.bark_gateway.test_speech import tones
from tests.client.fake_triton import CHUNK, FakeTriton, hang

BATCH = "/v1/audio/speech/batch"


def spoken(http: httpx2.Client, *items: dict[str, Any]) -> list[dict[str, Any]]:
    answer = http.post(BATCH, json={"items": items})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"])


def test_the_results_have_the_order_of_the_items(http: httpx2.Client) -> None:
    items = [{"input": " ".join(["Hello."] * count), "response_format": "pcm"} for count in (1, 3, 2, 5, 4)]
    results = spoken(http, *items)
    assert [base64.b64decode(one["audio"]) for one in results] == [tones(count) for count in (1, 3, 2, 5, 4)]
    assert [one["index"] for one in results] == [0, 1, 2, 3, 4]


def test_each_item_has_its_own_format_and_report(http: httpx2.Client) -> None:
    mp3, flac = spoken(http, {"input": "Hello."}, {"input": "Hello.", "response_format": "flac", "seed": 7})
    assert (mp3["format"], flac["format"], flac["bark"]["seed"]) == ("mp3", "flac", "7")
    assert decode(base64.b64decode(flac["audio"]), format="flac").size == CHUNK


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "opus"])
def test_the_file_of_an_item_says_how_long_it_is(http: httpx2.Client, kind: str) -> None:
    (one,) = spoken(http, {"input": "Hello.", "response_format": kind})
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(one["audio"])))
    assert samples.size == CHUNK
    assert samples.size / rate == pytest.approx(one["bark"]["seconds"], abs=1e-3)


def test_a_wrong_item_is_an_error_of_its_own(http: httpx2.Client) -> None:
    wrong: list[dict[str, Any]] = [
        {}, {"input": ""}, {"input": "x", "speed": 9}, {"input": "x", "colour": 1}, {"input": "x", "model": "gpt"},
        {"input": "x", "stream_format": "sse"}, {"input": 7},
    ]  # fmt: skip
    *errors, good = spoken(http, *wrong, {"input": "Hello."})
    assert all(one["error"]["message"] and one["audio"] is None for one in errors)
    assert [one["error"]["param"] for one in errors] == [
        "input", "input", "speed", "colour", "model", "stream_format", "input",
    ]  # fmt: skip
    assert good["error"] is None and good["audio"]


@pytest.mark.parametrize(
    "body", [{}, {"items": []}, {"items": "x"}, {"items": [7]}, {"items": [{}] * 33}, {"items": [{}], "x": 1}]
)
def test_a_wrong_batch_is_refused(http: httpx2.Client, body: dict[str, Any]) -> None:
    refused(http.post(BATCH, json=body), 400)


@pytest.mark.parametrize(
    ("field", "hint"),
    [("response_format", " Give it to each of the items."), ("item", " Did you mean items?"), ("inptu", "")],
)
def test_a_field_that_a_batch_does_not_have_is_told_where_it_belongs(
    http: httpx2.Client, field: str, hint: str
) -> None:
    answer = http.post(BATCH, json={"items": [{"input": "Hello."}], field: "flac"})
    assert answer.json()["error"]["message"] == f"{field}: there is no such field.{hint}"


def test_a_batch_of_many_wrong_items_is_refused_for_the_first_of_them(http: httpx2.Client) -> None:
    answer = http.post(BATCH, json={"items": [0] * 100_000})
    assert answer.status_code == 400
    assert len(answer.content) < 1_000 and answer.json()["error"]["param"] == "items.0"


def test_a_batch_keeps_to_the_limit_of_its_key(serve: Callable[..., Served], triton: FakeTriton) -> None:
    url = serve(keys=[key(requests_in_flight=1)]).url
    body = {"items": [{"input": "Hello."}] * 5}
    answer = httpx2.post(url + BATCH, json=body, headers={"authorization": f"Bearer {SECRET}"})
    assert [one["error"] for one in answer.json()["data"]] == [None] * 5


def test_a_client_that_leaves_cancels_a_batch(http: httpx2.Client, triton: FakeTriton) -> None:
    triton.plan.extend([hang()] * 2)
    with pytest.raises(httpx2.ReadTimeout):
        http.post(BATCH, json={"items": [{"input": "Hello."}] * 2}, timeout=httpx2.Timeout(20, read=0.5))
    assert triton.cancelled.acquire(timeout=5) and triton.cancelled.acquire(timeout=5)
