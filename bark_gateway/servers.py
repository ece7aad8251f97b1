"""Which Triton server speaks a request: of those that answer, the one with the fewest requests.

A task looks at each server once a second, and after a request that could not reach it. A server that does not answer
gets no requests until it does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from bark_client import AsyncBarkClient, BarkError, ServerUnavailable

LOOK_INTERVAL_S: Final = 1.0
LOOK_TIMEOUT_S: Final = 0.7


Bark: TypeAlias = AsyncBarkClient  #: what the rest of the gateway gets of a server


@dataclass
class Server:
    """One server, and what is known of it."""

    url: str
    bark: Bark
    active: int = 0  #: requests that it has now
    problem: str = ""  #: what was wrong when it was looked at; empty if nothing was
    look: asyncio.Event = field(default_factory=asyncio.Event)  #: set: look at it now


class Servers:
    """All servers of a gateway. Use it as `async with`; it looks at the servers while the block runs."""

    def __init__(self, urls: Sequence[str], *, connect: Callable[[str], Bark]) -> None:
        self.all = [Server(url, connect(url)) for url in urls]
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Servers:
        self._tasks = [asyncio.create_task(_watch(server)) for server in self.all]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(server.bark.close() for server in self.all))

    @property
    def problem(self) -> str:
        """Empty if a server answers."""
        return "" if any(not server.problem for server in self.all) else self.all[0].problem

    @contextmanager
    def lend(self) -> Iterator[Bark]:
        """The client of the server that gets the next request. Raises ServerUnavailable if none answers."""
        answering = [server for server in self.all if not server.problem]
        if not answering:
            raise ServerUnavailable(self.problem)
        server = min(answering, key=lambda one: one.active)
        server.active += 1
        try:
            yield server.bark
        except ServerUnavailable:
            server.look.set()
            raise
        finally:
            server.active -= 1


def connect(url: str, *, connect_timeout_s: float, answer_timeout_s: float) -> AsyncBarkClient:
    """A client of one server."""
    return AsyncBarkClient(url, connect_timeout=connect_timeout_s, answer_timeout=answer_timeout_s)


async def _watch(server: Server) -> None:
    while True:
        try:
            server.problem = (await server.bark.health(timeout=LOOK_TIMEOUT_S)).problem
        except BarkError as error:
            server.problem = str(error)
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_INTERVAL_S):
                await server.look.wait()
        server.look.clear()
