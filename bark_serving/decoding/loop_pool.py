"""Several decode loops behind one: one loop per GPU, in one process, for the profiles torch, tensorrt and rtx.

With one model instance per loop, Triton could not balance them: it gives a request to any instance that is free, and a
loop is always free. A `stop` would reach one instance only. So one model instance owns all loops. A request goes to the
loop with the fewest requests in flight, and a stop goes to all. With one device, the pool has one loop.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future

from bark_serving.arrays import Ids
from bark_serving.decoding.loop import DecodeLoop
from bark_serving.decoding.sequence import Generation

MAX_HELD = 4096  #: held sequences that are remembered


class LoopPool:
    """Distributes generations over loops that run the same network."""

    def __init__(self, loops: Sequence[DecodeLoop]) -> None:
        self._loops = loops
        self._in_flight = [0] * len(loops)
        self._held_on: OrderedDict[str, int] = OrderedDict()  # request id → the loop that holds its sequence
        self._lock = threading.Lock()

    def submit(self, generation: Generation) -> Future[Ids]:
        """`DecodeLoop.submit` on the loop that holds what this continues, else on the least busy one."""
        with self._lock:
            least_busy = self._in_flight.index(min(self._in_flight))
            index = self._held_on.pop(generation.request_id, least_busy)
            self._in_flight[index] += 1
            if generation.hold:
                self._held_on[generation.request_id] = index
            if len(self._held_on) > MAX_HELD:  # the oldest client has gone; a wrong guess costs one prefill
                self._held_on.popitem(last=False)
        answer = self._loops[index].submit(generation)
        answer.add_done_callback(lambda _: self._count_down(index))
        return answer

    def stop(self, request_id: str) -> None:
        """`DecodeLoop.stop` on every loop."""
        for loop in self._loops:
            loop.stop(request_id)

    def close(self) -> None:
        """Close all loops."""
        for loop in self._loops:
            loop.close()

    def _count_down(self, index: int) -> None:
        with self._lock:
            self._in_flight[index] -= 1
