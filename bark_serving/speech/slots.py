"""Slots that are given to the most urgent first: a semaphore with a priority queue."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count


class Slots:
    """At most ``size`` holders at once. A free slot goes to the waiting task whose ``due`` is the smallest.

    ``due``: seconds by one clock, for example when the audio that a task makes will be needed. As these are absolute
    times, each waiting task becomes the most urgent one in the end. Equal ones are served in order of arrival.
    """

    def __init__(self, size: int) -> None:
        self._free = size
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._arrivals = count()

    @asynccontextmanager
    async def hold(self, due: float) -> AsyncGenerator[None, None]:
        """Hold a slot within the block."""
        await self._acquire(due)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, due: float) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (due, next(self._arrivals), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release()  # the slot was given in the same moment
            raise

    def _release(self) -> None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
