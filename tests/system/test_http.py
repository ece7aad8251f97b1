"""Triton's HTTP endpoints, for callers without our client."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from tests.system.conftest import RealServer


def post(server: RealServer, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The JSON that the model `bark` answers with."""
    url = f"http://127.0.0.1:{server.settings.http_port}/v2/models/bark/{path}"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode()), timeout=120) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


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
