"""Several loops behind one: the least busy gets a request, all get a stop, the holder gets a continuation."""

from __future__ import annotations

from concurrent.futures import Future
from typing import cast

import numpy as np

from bark_serving.arrays import Ids
from bark_serving.decoding.loop import DecodeLoop
from bark_serving.decoding.loop_pool import LoopPool
from bark_serving.decoding.sampling import Sampling
from bark_serving.decoding.sequence import Generation


class Loop:
    """Takes generations and answers when told."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, Future[Ids]]] = []
        self.stopped: list[str] = []
        self.closed = False

    def submit(self, generation: Generation) -> Future[Ids]:
        answer: Future[Ids] = Future()
        self.taken.append((generation.request_id, answer))
        return answer

    def stop(self, request_id: str) -> None:
        self.stopped.append(request_id)

    def close(self) -> None:
        self.closed = True


def pool_of(loops: list[Loop]) -> LoopPool:
    return LoopPool([cast(DecodeLoop, loop) for loop in loops])


def generation(request_id: str, *, hold: bool = False) -> Generation:
    none = np.empty(0, np.int32)
    return Generation(np.empty((0, 1), np.float32), none, 1, Sampling(), request_id=request_id, hold=hold)


def test_a_generation_goes_to_the_loop_with_the_fewest_in_flight() -> None:
    loops = [Loop(), Loop(), Loop()]
    pool = pool_of(loops)
    for number in range(7):
        pool.submit(generation(str(number)))
    assert [len(loop.taken) for loop in loops] == [3, 2, 2]
    for _, answer in loops[1].taken:
        answer.set_result(np.empty(0, np.int32))
    pool.submit(generation("next"))
    assert loops[1].taken[-1][0] == "next"


def test_a_continuation_goes_to_the_loop_that_holds_its_beginning() -> None:
    loops = [Loop(), Loop()]
    pool = pool_of(loops)
    pool.submit(generation("speech", hold=True))
    loops[0].taken[0][1].set_result(np.empty(0, np.int32))
    pool.submit(generation("other"))
    pool.submit(generation("speech", hold=True))
    pool.submit(generation("speech"))
    assert [name for name, _ in loops[0].taken] == ["speech", "other", "speech", "speech"]
    pool.submit(generation("speech"))  # the sequence before it was not held: any loop will do
    assert [name for name, _ in loops[1].taken] == ["speech"]


def test_a_stop_reaches_every_loop_and_closing_closes_all() -> None:
    loops = [Loop(), Loop()]
    pool = pool_of(loops)
    pool.stop("speech")
    pool.close()
    assert all(loop.stopped == ["speech"] and loop.closed for loop in loops)
