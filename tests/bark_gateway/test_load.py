"""How much speech is asked for and not yet made."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import httpx2
import pytest

from bark_gateway.load import LEAST_S, Load, Pace
from bark_gateway.servers import Servers
from tests.bark_gateway.served import Served
from tests.bark_gateway.test_metrics import metrics
from tests.client.fake_triton import FakeTriton, hang


def test_the_length_of_a_text_in_seconds_is_learnt() -> None:
    pace = Pace()
    for _ in range(400):
        pace.learn(1_000, 250.0)
    assert pace.seconds(1_000) == pytest.approx(250.0, rel=0.01)
    for _ in range(400):
        pace.learn(1_000, 60.0)
    assert pace.seconds(1_000) == pytest.approx(60.0, rel=0.1)  # another language is spoken now


def test_audio_that_arrives_takes_from_the_load() -> None:
    load = Load()
    with load.work(1_000) as work:
        assert load.seconds == pytest.approx(70.0)
        work.heard(30.0)
        assert load.seconds == pytest.approx(40.0)
        work.heard(1_000.0)
        assert load.seconds == LEAST_S  # it has not ended
        work.again()
        assert load.seconds == pytest.approx(70.0)
    assert load.seconds == 0


def test_a_long_text_counts_for_more_than_some_short_ones() -> None:
    load, servers = Load(), Servers(["a:1", "b:1"], connect=lambda url: SimpleNamespace(url=url))  # type: ignore[arg-type, return-value]
    with load.work(5_000) as long, servers.lend(long) as first:
        for _ in range(3):
            with load.work(500) as short, servers.lend(short) as server:
                assert server is not first


def test_servers_with_as_much_to_do_take_turns() -> None:
    servers = Servers(["a:1", "b:1", "c:1"], connect=lambda url: SimpleNamespace(url=url))  # type: ignore[arg-type, return-value]
    turns = []
    for _ in range(6):
        with servers.lend() as server:
            turns.append(server.url)
    assert turns == ["a:1", "b:1", "c:1"] * 2


def test_the_metrics_tell_the_load(serve: Callable[..., Served], triton: FakeTriton) -> None:
    triton.plan.append(hang(after_chunks=1))
    url = serve(max_active=1).url
    body = {"input": "x" * 1_000, "response_format": "pcm"}
    with httpx2.stream("POST", f"{url}/v1/audio/speech", json=body) as one:
        audio = one.iter_raw()
        next(audio)
        seen = metrics(url)
        assert seen["bark_gateway_pending_seconds",] == pytest.approx(69.9)
        assert seen["bark_gateway_server_pending_seconds", triton.url] == pytest.approx(69.9)
        assert seen["bark_gateway_server_active", triton.url] == 1
