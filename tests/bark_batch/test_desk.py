"""The desk, without Ray."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import pytest

from bark_batch.desk import Desk, Slot
from tests.client.fake_triton import FakeTriton, free_port


@pytest.fixture
def urls() -> Iterator[list[str]]:
    servers = [FakeTriton(), FakeTriton()]
    yield [server.url for server in servers]
    for server in servers:
        server.close()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await work()

    asyncio.run(limited())


async def taken(desk: Desk, worker: str = "w") -> Slot:
    slot = await desk.take(worker)
    assert isinstance(slot, Slot)
    return slot


def test_a_server_never_has_more_requests_than_slots(urls: list[str]) -> None:
    async def work() -> None:
        desk, running, most, rng = Desk(urls, slots=3, patience=60), Counter[str](), Counter[str](), random.Random(1)

        async def one() -> None:
            slot = await taken(desk)
            running[slot.url] += 1
            most[slot.url] = max(most[slot.url], running[slot.url])
            await asyncio.sleep(rng.uniform(0, 0.004))
            running[slot.url] -= 1
            await desk.give(slot, problem="as planned" if rng.random() < 0.02 else "")

        await asyncio.gather(*(one() for _ in range(300)))
        assert most == dict.fromkeys(urls, 3)
        assert (await desk.progress()).in_flight == 0

    run(work)


def test_a_server_that_does_not_answer_gets_nothing_until_it_does(urls: list[str]) -> None:
    async def work() -> None:
        gone = f"127.0.0.1:{free_port()}"
        desk = Desk([gone, urls[0]], slots=1, patience=60)
        first = await taken(desk)
        assert first.url == gone
        await desk.give(first, problem="refused")
        second = await taken(desk)
        assert second.url == urls[0]
        assert list((await desk.progress()).missing) == [gone]
        server = FakeTriton(int(gone.rpartition(":")[2]))
        third = await taken(desk)
        while not isinstance(third, Slot):  # the next look comes within a second or so
            third = await desk.take("w")
        assert third.url == gone and (await desk.progress()).missing == {}
        server.close()

    run(work)


def test_a_server_that_was_silent_at_the_start_gets_nothing_until_it_answers(urls: list[str]) -> None:
    async def work() -> None:
        gone = f"127.0.0.1:{free_port()}"
        desk = Desk([gone, urls[0]], slots=1, patience=60, silent={gone: "refused"})
        assert (await desk.progress()).missing == {gone: "refused"}
        assert (await taken(desk)).url == urls[0]
        server = FakeTriton(int(gone.rpartition(":")[2]))
        while not isinstance(slot := await desk.take("w"), Slot):  # the next look comes within a second or so
            pass
        assert slot.url == gone and (await desk.progress()).missing == {}
        server.close()

    run(work)


def test_the_slots_of_a_silent_worker_are_free_again(urls: list[str]) -> None:
    async def work() -> None:
        clock = Clock()
        desk = Desk(urls[:1], slots=1, patience=60, silence=5, clock=clock)
        lost = await taken(desk, "dead")
        clock.now = 4.0
        await desk.beat("alive")
        clock.now = 6.0
        found = await taken(desk, "alive")
        await desk.give(lost)  # it was not dead after all, and gives back what it no longer has
        assert (await desk.progress()).in_flight == 1
        await desk.give(found)
        assert (await desk.progress()).in_flight == 0

    run(work)


def test_a_job_stops_when_no_server_answers_for_long() -> None:
    async def work() -> None:
        clock = Clock()
        desk = Desk([f"127.0.0.1:{free_port()}"], slots=1, patience=30, clock=clock)
        await desk.give(await taken(desk), problem="refused")
        clock.now = 29.0
        assert (await desk.progress()).stopped == ""
        clock.now = 31.0
        assert (await desk.progress()).stopped.startswith("no server answers for 30 s: ")
        assert await desk.take("w") == (await desk.progress()).stopped

    run(work)


def test_rows_of_a_shard_that_begins_again_count_once(urls: list[str]) -> None:
    async def work() -> None:
        desk = Desk(urls, slots=1, patience=60)
        for _ in range(2):
            await desk.begin(7)
            await desk.count(7, failed=False, seconds=2.0)
            await desk.count(7, failed=True, seconds=0.0)
        progress = await desk.progress()
        assert (progress.rows, progress.failed, progress.audio_seconds) == (2, 1, 2.0)

    run(work)
