"""What a client finds out about its server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.client.fake_triton import FakeTriton, free_port, hang


def test_health_of_a_good_server(client: Any, triton: FakeTriton) -> None:
    health = client.health()
    assert health.ok
    assert (health.live, health.ready, health.server, health.canary_seconds) == (True, True, "triton 2.51.0", None)
    assert triton.requests == []


def test_health_of_no_server_is_a_result_and_not_an_exception(connect: Callable[..., Any]) -> None:
    health = connect(f"127.0.0.1:{free_port()}", connect_timeout=0.3).health()
    assert (health.ok, health.live, health.ready) == (False, False, False)
    assert "no server answers" in health.problem


def test_health_tells_a_live_server_without_the_model(client: Any, triton: FakeTriton) -> None:
    triton.ready = False
    health = client.health(deep=True)
    assert (health.ok, health.live, health.ready) == (False, True, False)
    assert "'bark' is not ready" in health.problem


def test_deep_health_speaks_a_word(client: Any, triton: FakeTriton) -> None:
    health = client.health(deep=True)
    assert health.ok
    assert health.canary_seconds is not None
    assert health.canary_seconds > 0
    assert triton.requests[0]["max_duration"] < 1
    client.speak("Hello.")
    assert triton.request_ids == ["bark-check", ""]


def test_deep_health_finds_a_ready_model_whose_process_is_dead(client: Any, triton: FakeTriton) -> None:
    triton.plan.append(hang())
    health = client.health(deep=True, timeout=0.4)
    assert (health.ok, health.live, health.ready, health.canary_seconds) == (False, True, True, None)
    assert "before any audio" in health.problem or "in time" in health.problem


def test_deep_health_is_good_when_others_are_spoken_for_meanwhile(client: Any, triton: FakeTriton) -> None:
    """Under load a word's turn may not come in time: that is no reason to restart the server."""
    triton.plan.append(hang())
    triton.speaks_for_others = 1
    health = client.health(deep=True, timeout=0.4)
    assert health.ok
    assert (health.canary_seconds, health.busy) == (None, True)
