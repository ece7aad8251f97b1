"""Slots go to the most urgent task, and none is ever lost."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from bark_serving.speech.slots import Slots


async def all_waiting(tasks: list[asyncio.Task[None]]) -> None:
    for _ in range(2 * len(tasks) + 2):
        await asyncio.sleep(0)


def test_a_free_slot_goes_to_the_task_that_is_due_first() -> None:
    async def order() -> list[float]:
        slots, served = Slots(1), []

        async def work(due: float) -> None:
            async with slots.hold(due):
                served.append(due)
                await asyncio.sleep(0)

        async with slots.hold(0):
            tasks = [asyncio.create_task(work(due)) for due in (3.0, 1.0, 2.0, 1.0)]
            await all_waiting(tasks)
        await asyncio.gather(*tasks)
        return served

    assert asyncio.run(order()) == [1.0, 1.0, 2.0, 3.0]


@given(st.lists(st.tuples(st.floats(0, 9), st.sampled_from(["works", "fails", "leaves", "leaves as it is served"]))))
def test_no_slot_is_lost_whatever_becomes_of_its_holder(holders: list[tuple[float, str]]) -> None:
    async def free_at_the_end() -> int:
        slots, most, now = Slots(2), 0, 0

        async def work(due: float, fate: str) -> None:
            nonlocal most, now
            async with slots.hold(due):
                now += 1
                most = max(most, now)
                try:
                    await asyncio.sleep(0)
                    if fate == "fails":
                        raise ValueError
                finally:
                    now -= 1

        async with slots.hold(0), slots.hold(0):
            tasks = [asyncio.create_task(work(*holder)) for holder in holders]
            await all_waiting(tasks)
            for task, (_, fate) in zip(tasks, holders, strict=True):
                if fate == "leaves":
                    task.cancel()
            await all_waiting(tasks)
        for task, (_, fate) in zip(tasks, holders, strict=True):
            if fate == "leaves as it is served":
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert most <= 2

        async def both() -> int:
            async with slots.hold(0), slots.hold(0):
                return 2

        return await asyncio.wait_for(both(), timeout=5)

    assert asyncio.run(free_at_the_end()) == 2
