"""The desk lends *slots*: the right to have one request at a server. A server never has more requests than slots.

All workers of a job ask one desk. It knows which servers answer, and takes back the slots of a worker that is gone.
So the load on the servers does not depend on how many tasks or actors Ray runs.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bark_client import AsyncBarkClient

LOOK_INTERVAL_S: Final = 1.0  #: between two looks at a server that did not answer
LOOK_TIMEOUT_S: Final = 2.0
TAKE_WAIT_S: Final = 2.0  #: that a worker waits for a slot before it asks again
BEAT_INTERVAL_S: Final = 2.0  #: between two signs of life of a worker
SILENCE_S: Final = 20.0  #: without one: the worker is gone, and its slots are free


@dataclass(frozen=True)
class Slot:
    """One request may be sent to `url`. Give it back."""

    number: int
    url: str


@dataclass
class _Server:
    url: str
    slots: int
    taken: int = 0
    problem: str = ""  #: what was wrong at the last look; empty if nothing was
    look: asyncio.Task[None] | None = None


@dataclass
class Progress:
    """What has been made since the job was started or resumed."""

    rows: int = 0
    failed: int = 0
    audio_seconds: float = 0.0
    in_flight: int = 0
    missing: dict[str, str] = field(default_factory=dict)  #: servers that do not answer, and why
    stopped: str = ""  #: why the job cannot go on; empty if it can


class Desk:
    """Slots of servers. Its methods are called by Ray, in one event loop.

    patience: seconds that a job waits while no server answers. silent: servers that did not speak before the job began,
    and why; they get no requests until they answer.
    """

    def __init__(
        self,
        servers: Sequence[str],
        *,
        slots: int,
        patience: float,
        silent: Mapping[str, str] | None = None,
        silence: float = SILENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._servers = [_Server(url, slots, problem=(silent or {}).get(url, "")) for url in servers]
        self._patience, self._silence, self._clock = patience, silence, clock
        self._numbers = itertools.count()
        self._lent: dict[int, tuple[str, _Server]] = {}
        self._heard: dict[str, float] = {}
        self._shards: dict[int, tuple[int, int, float]] = {}  # rows, failed rows and seconds of audio of each
        self._stopped = ""
        self._alone_since: float | None = None  # since when no server answers
        self._freed = asyncio.Condition()

    async def take(self, worker: str) -> Slot | str | None:
        """A slot of the server with most free ones; None if there was none for a while; words if the job is stopped."""
        self._heard[worker] = self._clock()
        self._look_at_silent()
        deadline = self._clock() + TAKE_WAIT_S
        async with self._freed:
            while not self._stopped:
                self._take_back()
                free = [one for one in self._servers if not one.problem and one.taken < one.slots]
                if free:
                    server = min(free, key=lambda one: one.taken)
                    server.taken += 1
                    slot = Slot(next(self._numbers), server.url)
                    self._lent[slot.number] = worker, server
                    return slot
                try:
                    await asyncio.wait_for(self._freed.wait(), timeout=max(0.0, deadline - self._clock()))
                except TimeoutError:
                    return None
            return self._stopped

    async def give(self, slot: Slot, *, problem: str = "") -> None:
        """A slot back. problem: the server did not answer; it gets no more requests until it does."""
        _, server = self._lent.pop(slot.number, ("", None))
        if server is None:
            return
        server.taken -= 1
        if problem:
            self._doubt(server, problem)
        await self._tell()

    async def beat(self, worker: str) -> None:
        """A worker is alive."""
        self._heard[worker] = self._clock()

    async def begin(self, shard: int) -> None:
        """A shard is begun, maybe not for the first time."""
        self._shards[shard] = 0, 0, 0.0

    async def count(self, shard: int, *, failed: bool, seconds: float) -> None:
        """A row is finished. seconds: of audio."""
        rows, failures, total = self._shards.get(shard, (0, 0, 0.0))
        self._shards[shard] = rows + 1, failures + failed, total + seconds

    async def stop(self, reason: str) -> None:
        """End the job. The first reason counts."""
        self._stopped = self._stopped or reason
        await self._tell()

    async def progress(self) -> Progress:
        if self._alone_since is not None and self._clock() - self._alone_since > self._patience:
            await self.stop(f"no server answers for {self._patience:g} s: {self._servers[0].problem}")
        self._take_back()
        self._look_at_silent()
        counts = self._shards.values()
        return Progress(
            rows=sum(rows for rows, _, _ in counts),
            failed=sum(failed for _, failed, _ in counts),
            audio_seconds=sum(seconds for _, _, seconds in counts),
            in_flight=len(self._lent),
            missing={one.url: one.problem for one in self._servers if one.problem},
            stopped=self._stopped,
        )

    def _take_back(self) -> None:
        """The slots of workers that are gone."""
        now = self._clock()
        gone = {worker for worker, heard in self._heard.items() if now - heard > self._silence}
        for number in [number for number, (worker, _) in self._lent.items() if worker in gone]:
            self._lent.pop(number)[1].taken -= 1
        for worker in gone:
            del self._heard[worker]

    def _doubt(self, server: _Server, problem: str) -> None:
        server.problem = problem
        if self._alone_since is None and all(one.problem for one in self._servers):
            self._alone_since = self._clock()
        self._look_at_silent()

    def _look_at_silent(self) -> None:
        for server in self._servers:
            if server.problem and (server.look is None or server.look.done()):
                server.look = asyncio.create_task(self._look(server))

    async def _look(self, server: _Server) -> None:
        """Look at a server until it answers."""
        async with AsyncBarkClient(server.url, connect_timeout=LOOK_TIMEOUT_S) as bark:
            while problem := (await bark.health(timeout=LOOK_TIMEOUT_S)).problem:
                server.problem = problem
                await asyncio.sleep(LOOK_INTERVAL_S)
        server.problem, self._alone_since = "", None
        await self._tell()

    async def _tell(self) -> None:
        async with self._freed:
            self._freed.notify_all()


def as_actor(ray: Any) -> Any:
    """The class as one of Ray's. All waiting calls of all workers must fit into it."""
    return ray.remote(num_cpus=0, max_concurrency=100_000)(Desk)
