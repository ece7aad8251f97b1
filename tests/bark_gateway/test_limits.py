"""How much is spoken at once, and what those hear who must wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bark_gateway.errors import GatewayError
from bark_gateway.keys import Key
from bark_gateway.limits import Gate, Quotas
from tests.bark_gateway.served import Served
from tests.bark_gateway.test_keys import key, post
from tests.bark_gateway.test_refusals import refused
from tests.bark_gateway.test_servers import wait_until
from tests.client.fake_triton import FakeTriton, abort, hang

SPEECH = "/v1/audio/speech"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_does_not_fit_waits_and_what_can_not_wait_is_429(serve: Callable[..., Served], triton: FakeTriton) -> None:
    gateway = serve(max_active=1, max_queued=1)
    triton.plan.append(hang(after_chunks=1))
    with ThreadPoolExecutor() as threads:
        with httpx2.stream("POST", gateway.url + SPEECH, json={"input": "x", "response_format": "pcm"}) as first:
            audio = first.iter_raw()
            next(audio)
            second = threads.submit(httpx2.post, gateway.url + SPEECH, json={"input": "Hello."}, timeout=20)
            wait_until(lambda: gateway.gateway.gate.queued == 1)
            answer = httpx2.post(gateway.url + SPEECH, json={"input": "Hello."})
            assert refused(answer, 429)["type"] == "rate_limit_error"
            assert answer.headers["retry-after"] == "5"
            assert len(triton.requests) == 1
        assert second.result().status_code == 200  # the first has left
    wait_until(lambda: gateway.gateway.gate.active == 0)


def test_a_client_that_leaves_the_queue_frees_its_place(serve: Callable[..., Served], triton: FakeTriton) -> None:
    gateway = serve(max_active=1, max_queued=1)
    triton.plan.append(hang(after_chunks=1))
    with httpx2.stream("POST", gateway.url + SPEECH, json={"input": "x", "response_format": "pcm"}) as first:
        audio = first.iter_raw()
        next(audio)
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.post(gateway.url + SPEECH, json={"input": "Hello."}, timeout=0.3)
        wait_until(lambda: gateway.gateway.gate.queued == 0)
    assert httpx2.post(gateway.url + SPEECH, json={"input": "Hello."}, timeout=20).status_code == 200
    assert len(triton.requests) == 2


def test_a_key_has_a_limit_of_requests_under_way(serve: Callable[..., Served], triton: FakeTriton) -> None:
    gateway = serve(keys=[key(requests_in_flight=1)])
    triton.plan.append(hang(after_chunks=1))
    headers = {"authorization": "Bearer sk-bark-secret"}
    with httpx2.stream("POST", gateway.url + SPEECH, json={"input": "x"}, headers=headers) as first:
        audio = first.iter_raw()
        next(audio)
        answer = post(gateway.url)
        assert refused(answer, 429)["code"] == "too_many_requests_in_flight"
        assert answer.headers["retry-after"] == "1"
    wait_until(lambda: post(gateway.url).status_code == 200)


def test_a_key_has_a_limit_of_characters_per_minute(serve: Callable[..., Served]) -> None:
    url = serve(keys=[key(characters_per_minute=20)]).url
    assert post(url, input="x" * 15).status_code == 200
    answer = post(url, input="x" * 15)
    assert refused(answer, 429)["code"] == "characters_per_minute"
    assert 25 <= int(answer.headers["retry-after"]) <= 30
    assert "this key may send 20" in refused(post(url, input="x" * 21), 400)["message"]


def test_a_text_that_no_server_took_counts_for_no_key(serve: Callable[..., Served], triton: FakeTriton) -> None:
    gateway = serve(keys=[key(characters_per_minute=20)], max_active=1, max_queued=0)
    triton.plan.append(hang(after_chunks=1))
    headers = {"authorization": "Bearer sk-bark-secret"}
    with httpx2.stream("POST", gateway.url + SPEECH, json={"input": "x"}, headers=headers) as first:
        audio = first.iter_raw()
        next(audio)
        assert refused(post(gateway.url, input="x" * 15), 429)["code"] == "queue_full"
    wait_until(lambda: gateway.gateway.gate.active == 0)
    triton.plan += [abort(grpc.StatusCode.UNAVAILABLE)] * 100
    assert refused(post(gateway.url, input="x" * 15), 503)["code"] == "server_unavailable"
    triton.plan.clear()
    assert post(gateway.url, input="x" * 15).status_code == 200
    assert refused(post(gateway.url, input="x" * 15), 429)["code"] == "characters_per_minute"


@given(
    limit=st.integers(1, 1000),
    texts=st.lists(st.tuples(st.integers(1, 1500), st.floats(0, 90)), max_size=40),
)
def test_a_key_never_says_more_than_its_limit_and_one_minute(limit: int, texts: list[tuple[int, float]]) -> None:
    """In any span of time, at most the limit and what the span earns."""
    clock, spoken = Clock(), 0
    quotas, limited = Quotas(clock=clock), Key(name="x", sha256="0" * 64, characters_per_minute=limit)
    for characters, pause in texts:
        clock.now += pause
        try:
            quotas.spend(limited, characters)
            spoken += characters
        except GatewayError as error:
            assert error.status_code in (400, 429)
            wait = float((error.headers or {}).get("retry-after", 0))
            if error.status_code == 429:  # and after that wait it is allowed
                clock.now += wait
                quotas.spend(limited, characters)
                spoken += characters
        assert spoken <= limit + clock.now * limit / 60 + 1e-6


def test_the_first_in_the_queue_is_the_next() -> None:
    order: list[int] = []

    async def one(gate: Gate, number: int) -> None:
        async with gate.passed():
            order.append(number)
            await asyncio.sleep(0)

    async def all_of_them() -> None:
        gate = Gate(max_active=1, max_queued=10)
        await asyncio.gather(*(one(gate, number) for number in range(8)))
        assert (gate.active, gate.queued) == (0, 0)

    asyncio.run(all_of_them())
    assert order == list(range(8))


def test_a_server_that_joins_makes_room() -> None:
    async def all_of_them() -> None:
        ready, release = [1], asyncio.Event()
        gate = Gate(max_active=2, max_queued=10, servers=lambda: ready[0])

        async def one() -> None:
            async with gate.passed():
                await release.wait()

        tasks = [asyncio.create_task(one()) for _ in range(5)]
        await asyncio.sleep(0)
        assert (gate.active, gate.queued) == (2, 3)
        ready[0] = 2
        gate.look()
        assert (gate.active, gate.queued) == (4, 1)
        ready[0] = 0  # nobody new passes; those who have a place keep it
        gate.look()
        assert (gate.active, gate.queued) == (4, 1)
        release.set()
        await asyncio.gather(*tasks)
        assert (gate.active, gate.queued) == (0, 0)

    asyncio.run(all_of_them())


@pytest.mark.parametrize("place_came", [False, True])
def test_who_leaves_while_it_waits_keeps_no_place(place_came: bool) -> None:
    async def leave() -> None:
        ready, release = [1], asyncio.Event()
        gate = Gate(max_active=1, max_queued=10, servers=lambda: ready[0])

        async def one() -> None:
            async with gate.passed():
                await release.wait()

        first, second = (asyncio.create_task(one()) for _ in range(2))
        await asyncio.sleep(0)
        assert gate.queued == 1
        if place_came:  # at the same moment
            ready[0] = 2
            gate.look()
        second.cancel()
        await asyncio.wait({second})
        assert (gate.active, gate.queued) == (1, 0)
        release.set()
        await first
        assert gate.active == 0

    asyncio.run(leave())
