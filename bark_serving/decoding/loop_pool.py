"""Several decode loops as one: a GPU each, in one process.

Triton would hand requests to instances as they come free, and a loop is always free; and a `stop` would reach one of
them only. So one model instance owns all loops: a request goes to the one with the fewest in flight, a stop to all.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future

from bark_serving.arrays import Ids
from bark_serving.decoding.loop import DecodeLoop, Generation

HOMES = 4096  #: kept sequences remembered at most


class Fleet:
    """Shares generations out among loops that run the same network."""

    def __init__(self, loops: Sequence[DecodeLoop]) -> None:
        self._loops = loops
        self._in_flight = [0] * len(loops)
        self._homes: OrderedDict[str, int] = OrderedDict()  # loops that keep a sequence, by request id
        self._lock = threading.Lock()

    def submit(self, generation: Generation) -> Future[Ids]:
        """`DecodeLoop.submit`, on the loop that keeps what this one goes on from, else that has the least to do."""
        with self._lock:
            least = self._in_flight.index(min(self._in_flight))
            index = self._homes.pop(generation.request_id, least)
            self._in_flight[index] += 1
            if generation.keep:
                self._homes[generation.request_id] = index
            if len(self._homes) > HOMES:  # of clients that have left; forgetting one costs a prefill at most
                self._homes.popitem(last=False)
        answer = self._loops[index].submit(generation)
        answer.add_done_callback(lambda _: self._left(index))
        return answer

    def stop(self, request_id: str) -> None:
        """`DecodeLoop.stop`, wherever the generation is."""
        for loop in self._loops:
            loop.stop(request_id)

    def close(self) -> None:
        """End all loops."""
        for loop in self._loops:
            loop.close()

    def _left(self, index: int) -> None:
        with self._lock:
            self._in_flight[index] -= 1
