"""Triton's HTTP endpoints, for callers without our client."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import numpy as np

from bark_client import BarkClient
from tests.system.conftest import RealServer

TWO = "Here the first sentence is spoken. The second one is, too."


def post(server: RealServer, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The JSON that the model `bark` answers with."""
    url = f"http://127.0.0.1:{server.settings.http_port}/v2/models/bark/{path}"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode()), timeout=120) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def test_generate_answers_with_the_whole_speech(triton: RealServer) -> None:
    found = post(triton, "generate", {"text": TWO, "seed": 1, "max_duration": 1.0})
    with BarkClient(triton.url) as bark:
        speech = bark.speak(TWO, seed=1, max_duration=1.0)
    assert len(speech.pieces) == 2
    np.testing.assert_array_equal(np.asarray(found["audio"], np.float32), speech.samples)
    assert json.loads(found["report"])["last"]


def test_generate_stream_sends_the_chunks_that_a_client_asks_for(triton: RealServer) -> None:
    text = {"text": TWO, "seed": 1, "max_duration": 1.0}
    whole, streamed = (events(triton, {**text, "stream": stream}) for stream in (False, True))
    assert len(whole) == 1 and len(streamed) > 1
    assert [sample for event in streamed for sample in event["audio"]] == whole[0]["audio"]


def events(server: RealServer, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The server-sent events of `generate_stream` that have audio."""
    url = f"http://127.0.0.1:{server.settings.http_port}/v2/models/bark/generate_stream"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode()), timeout=120) as answer:
        found = [json.loads(line.removeprefix(b"data:")) for line in answer if line.startswith(b"data:")]
    return [event for event in found if "audio" in event]


def test_generate_takes_an_id_and_what_triton_reserves(triton: RealServer) -> None:
    body = {"text": "Hi.", "seed": 1, "max_duration": 0.5}
    plain = post(triton, "generate", body)
    named = post(triton, "generate", {**body, "id": "x", "priority": 1, "timeout": 60_000_000})
    assert named["audio"] == plain["audio"] and len(named["audio"]) > 1000
    assert json.loads(named["report"])["seed"] == 1


def test_generate_takes_options_as_nested_parameters(triton: RealServer) -> None:
    plain = post(triton, "generate", {"text": "Hi.", "seed": 1, "max_duration": 0.5})
    nested = post(triton, "generate", {"id": "x", "text": "Hi.", "parameters": {"seed": 1, "max_duration": 0.5}})
    assert nested["audio"] == plain["audio"]
