"""The scheduler: which sequence gets which row, and how long there is nothing to do."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bark_serving.decoding.sampling import Sampling
from bark_serving.decoding.scheduler import Scheduler
from bark_serving.decoding.sequence import Generation, Sequence, State


def sequence(request_id: str, ids: list[int] | None = None) -> Sequence:
    prompt = np.array(ids or [1, 2], np.int32)
    return Sequence(Generation(np.zeros((len(prompt), 1), np.float32), prompt, 5, Sampling(), request_id=request_id))


def run(scheduler: Scheduler, new: Sequence) -> None:
    """Schedule a sequence and note its prompt as prefilled."""
    scheduler.add(new)
    assert scheduler.schedule() == scheduler.batch.index(new)
    new.length = len(new.generation.ids)


def held(scheduler: Scheduler, request_id: str, *, until: float = 100.0) -> Sequence:
    """A sequence of ids 1, 2 that generated 3 and holds its row."""
    one = sequence(request_id)
    run(scheduler, one)
    one.tokens.append(3)
    one.hold(until)
    return one


def test_one_sequence_per_turn_is_prefilled_in_order_of_arrival() -> None:
    scheduler = Scheduler(rows=2)
    names = ["first", "second", "third"]
    for name in names:
        scheduler.add(sequence(name))
    assert [scheduler.schedule() for _ in names] == [0, 1, None]
    assert [one.generation.request_id for one in scheduler.batch + scheduler.waiting] == names


def test_the_last_row_moves_into_the_gap_of_a_finished_one() -> None:
    scheduler = Scheduler(rows=3)
    sequences = [sequence(name) for name in "abc"]
    for one in sequences:
        run(scheduler, one)
    sequences[0].finish()
    assert scheduler.remove_finished() == [(2, 0)]
    assert scheduler.batch == [sequences[2], sequences[1]]
    sequences[1].finish()
    assert scheduler.remove_finished() == []


@given(st.lists(st.booleans(), max_size=12))
def test_rows_that_end_together_leave_one_block_of_the_others_with_their_caches(finished: list[bool]) -> None:
    scheduler = Scheduler(rows=max(1, len(finished)))
    sequences = [sequence(str(index)) for index in range(len(finished))]
    for one in sequences:
        run(scheduler, one)
    caches = [one.generation.request_id for one in sequences]
    for one, ends in zip(sequences, finished, strict=True):
        if ends:
            one.finish()
    for source, target in scheduler.remove_finished():
        assert scheduler.batch[target].state is State.RUNNING, "the loop reads the length of the row that moved"
        caches[target] = caches[source]
    going_on = {one.generation.request_id for one, ends in zip(sequences, finished, strict=True) if not ends}
    assert {one.generation.request_id for one in scheduler.batch} == going_on
    assert [one.generation.request_id for one in scheduler.batch] == caches[: len(going_on)]


def test_a_continuation_takes_the_held_row_and_its_cache() -> None:
    scheduler = Scheduler(rows=1)
    held(scheduler, "speech")
    continuation = sequence("speech", [1, 2, 3])
    scheduler.add(continuation)
    assert scheduler.schedule() is None, "nothing to prefill"
    assert scheduler.batch == [continuation] and continuation.length == 2
    assert continuation.state is State.RUNNING


def test_other_ids_of_the_same_request_are_prefilled_in_the_held_row() -> None:
    scheduler = Scheduler(rows=1)
    held(scheduler, "speech")
    scheduler.add(sequence("speech", [2, 3]))
    assert scheduler.schedule() == 0


def test_there_is_nothing_to_do_while_all_rows_are_held() -> None:
    scheduler = Scheduler(rows=1)
    assert scheduler.idle_s(now=0.0) is None
    held(scheduler, "speech", until=30.0)
    scheduler.add(sequence("other"))
    assert scheduler.schedule() is None
    assert scheduler.idle_s(now=10.0) == 20.0
    assert scheduler.idle_s(now=40.0) == 0.0
    scheduler.add(sequence("speech", [1, 2, 3]))
    assert scheduler.idle_s(now=10.0) == 0.0, "the continuation can go on"


def test_a_held_row_is_free_when_its_time_is_over() -> None:
    scheduler = Scheduler(rows=1)
    gone = held(scheduler, "gone", until=30.0)
    scheduler.expire(now=29.0)
    assert gone.state is State.HELD
    scheduler.expire(now=31.0)
    assert gone.state is State.FINISHED and gone.answer.result(0).tolist() == [3]
    scheduler.remove_finished()
    scheduler.add(sequence("next"))
    assert scheduler.schedule() == 0


def test_a_stop_answers_the_sequences_of_its_request_only() -> None:
    scheduler = Scheduler(rows=1)
    running, waiting, other = sequence("stop"), sequence("stop"), sequence("other")
    run(scheduler, running)
    running.tokens.append(7)
    scheduler.add(waiting)
    scheduler.add(other)
    scheduler.stop("stop")
    assert running.answer.result(0).tolist() == [7] and waiting.answer.result(0).tolist() == []
    assert not other.answer.done() and scheduler.waiting == [other]
