"""Which Triton server speaks a request: of those that are ready, the one with the least speech to make.

A task looks at each server once a second, and at once after a request that failed there. A server that is not ready, or
whose address has gone from the DNS, finishes what it has and gets nothing new. A server that failed gets nothing new
for a while if there is another one. Otherwise a broken server, which never has much to do, would get everything. The
same holds for one that is late to answer.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, TypeVar

from bark_client import AsyncBarkClient, BarkError, Health, RequestCancelled, ServerError, ServerUnavailable
from bark_gateway import targets
from bark_gateway.load import Work
from bark_gateway.settings import Settings
from bark_gateway.targets import DnsTarget, Resolve

log = logging.getLogger(__name__)
LOOK_INTERVAL_S: Final = 1.0
LOOK_TIMEOUT_S: Final = 0.7  #: a server that takes longer to answer gets nothing new while another one is there
RESOLVE_INTERVAL_S: Final = 2.0
FIRST_RESOLVE_S: Final = 2.0  #: that the start waits for the DNS
REST_S: Final = 1.0  #: that a server which failed gets nothing new; doubled with each failure in a row
MAX_REST_S: Final = 30.0

T = TypeVar("T")


@dataclass(eq=False)
class Server:
    """One server, and what is known of it."""

    url: str
    connect: Callable[[str], AsyncBarkClient]
    target: DnsTarget | None = None  #: whose address it is
    problem: str = ""  #: why it gets nothing new; empty if it is ready
    leaving: bool = False  #: its address has gone
    was_ready: bool | None = None  #: at the last look
    late: bool = False  #: it has not answered yet; perhaps it, or this machine, has much to do
    work: set[Work] = field(default_factory=set)
    look: asyncio.Event = field(default_factory=asyncio.Event)  #: set: look at it now
    last_lent: int = 0  #: the number of the last request that it got
    failures: int = 0  #: in a row
    rests_until: float = 0.0

    def __post_init__(self) -> None:
        self.bark = self.connect(self.url)

    @property
    def ready(self) -> bool:
        """Whether it gets new requests."""
        return not self.problem and not self.leaving

    @property
    def seconds(self) -> float:
        """Of speech that it still has to make."""
        return sum(work.left for work in self.work)

    @property
    def heard_at(self) -> float:
        """When it last sent audio."""
        return max((work.heard_at for work in self.work if work.made), default=0.0)

    def failed(self) -> None:
        """A request failed by its fault."""
        self.rests_until = time.monotonic() + min(REST_S * 2**self.failures, MAX_REST_S)
        self.failures += 1
        self.look.set()

    async def break_off(self) -> None:
        """End what it has, which raises RequestCancelled there."""
        lost, self.bark = self.bark, self.connect(self.url)
        await lost.close()


class Servers:
    """All servers of a gateway. Use it as `async with`; it looks at the servers while the block runs.

    names: `host:port`, or `dns:///name:port`. lost_s: the running requests of a server that is silent for so long count
    as lost. max_active: requests that each server gets at once, while another one has room.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        connect: Callable[[str], AsyncBarkClient],
        lost_s: float = 5.0,
        max_active: int = Settings.max_active,
        resolve: Resolve = targets.resolve,
    ) -> None:
        self._connect, self._lost_s, self._resolve, self._max_active = connect, lost_s, resolve, max_active
        self._servers: dict[str, Server] = {}
        self._unresolved: dict[DnsTarget, str] = {}  # why a name has no address
        self._tasks: dict[object, asyncio.Task[None]] = {}
        self._numbers = itertools.count(1)
        self.changed: Callable[[], None] = lambda: None  #: called when other servers may be ready
        self.gone: Callable[[str], None] = lambda url: None  #: called with the address of a server that has left
        for name in names:
            target = targets.parse(name)
            if isinstance(target, DnsTarget):
                self._unresolved[target] = f"{target}: not resolved yet"
            else:
                self._servers.setdefault(target, Server(target, connect))

    async def __aenter__(self) -> Servers:
        names = list(self._unresolved)
        if names:  # before the first requests, so that they find servers
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_RESOLVE_S):
                    await asyncio.gather(*(self._look_up(target) for target in names))
        for server in self.all:
            server.problem = ""  # until it is looked at
            if server not in self._tasks:
                self._start(server, self._watch(server))
        for target in names:
            self._start(target, self._follow(target))
        return self

    async def __aexit__(self, *exc: object) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(server.bark.close() for server in self.all))

    @property
    def all(self) -> list[Server]:
        """Those that are known now, those that are leaving too."""
        return list(self._servers.values())

    @property
    def ready(self) -> list[Server]:
        """Those that get new requests."""
        return [server for server in self.all if server.ready]

    @property
    def problem(self) -> str:
        """Empty if a server is ready."""
        if self.ready:
            return ""
        words = [
            *(one.problem or f"{one.url} is leaving" for one in self.all),
            *filter(None, self._unresolved.values()),
        ]
        return words[0] if words else "there is no server"

    @contextmanager
    def lend(self, work: Work | None = None, *, without: Collection[Server] = ()) -> Iterator[Server]:
        """The server that gets the next request. `without`: not one of these. Raises ServerUnavailable if none is left.

        What the block raises tells whether the server is at fault. RequestCancelled becomes ServerUnavailable, because
        only the server, or its loss, can have cancelled.
        """
        work = work or Work()
        server = self._choose(without)
        server.last_lent = next(self._numbers)
        server.work.add(work)
        try:
            yield server
        except RequestCancelled:
            server.failed()
            raise ServerUnavailable(f"the server at {server.url} ended the request, or does not answer") from None
        except (ServerUnavailable, ServerError):
            server.failed()
            raise
        else:
            server.failures, server.rests_until = 0, 0.0
        finally:
            server.work.discard(work)
            self._drop_if_left(server)

    async def ask(self, question: Callable[[AsyncBarkClient], Awaitable[T]]) -> T:
        """Ask a server; if it can't be reached, another one. For what may be asked twice. Raises BarkError."""
        tried: list[Server] = []
        while True:
            try:
                with self.lend(without=tried) as server:
                    tried.append(server)
                    return await question(server.bark)
            except ServerUnavailable:
                if not (tried and self.others(tried)):
                    raise

    def others(self, tried: Collection[Server]) -> list[Server]:
        """The ready servers beside these."""
        return [server for server in self.ready if server not in tried]

    def _choose(self, without: Collection[Server]) -> Server:
        ready = self.others(without)
        if not ready:
            raise ServerUnavailable(self.problem)
        now = time.monotonic()
        room = [server for server in ready if len(server.work) < self._max_active] or ready
        fit = [server for server in room if server.rests_until <= now and not server.late] or room
        return min(fit, key=lambda server: (server.seconds, server.last_lent))

    def _start(self, key: object, work: Awaitable[None]) -> None:
        self._tasks[key] = asyncio.ensure_future(work)

    async def _watch(self, server: Server) -> None:
        """Look at a server again and again."""
        while True:
            await self._look(server)
            self.changed()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_INTERVAL_S):
                    await server.look.wait()
            server.look.clear()

    async def _look(self, server: Server) -> None:
        """A late answer is an answer. Without one for `lost_s`, and no audio, its running requests count as lost."""
        began = time.monotonic()
        looking = asyncio.create_task(_health(server, timeout_s=self._lost_s))
        try:
            done, _ = await asyncio.wait({looking}, timeout=LOOK_TIMEOUT_S)
            server.late = not done
            health = await looking
        finally:
            looking.cancel()
        server.problem, server.late = health.problem, False
        self._tell(server)
        if not health.live and max(began, server.heard_at) + self._lost_s <= time.monotonic():
            if server.work:
                log.warning("the server at %s is silent: it lost %d requests", server.url, len(server.work))
            await server.break_off()

    def _tell(self, server: Server) -> None:
        """Log it where a server has become ready, or is not ready any more."""
        was_ready, server.was_ready = server.was_ready, server.ready
        if server.ready and was_ready is False:
            log.info("the server at %s is ready now", server.url)
        elif not server.ready and was_ready is not False:
            after = "it gets no requests" if self.ready else "requests get status 503 until a server is ready"
            log.warning("%s; %s", server.problem or f"the server at {server.url} is leaving", after)

    async def _follow(self, target: DnsTarget) -> None:
        while True:
            await asyncio.sleep(RESOLVE_INTERVAL_S)
            await self._look_up(target)

    async def _look_up(self, target: DnsTarget) -> None:
        """Look up a name. A DNS that gives no answer changes nothing: whether servers answer is seen anyway."""
        try:
            found = await self._resolve(target)
        except OSError as error:
            why = f"{target}: it has no address now ({error.strerror or error})"
            if self._unresolved[target] != why:
                log.warning(why)
            self._unresolved[target] = why
            return
        self._unresolved[target] = ""
        self._found(target, found)

    def _found(self, target: DnsTarget, urls: Iterable[str]) -> None:
        """Servers of new addresses join; those whose address has gone leave."""
        urls = set(urls)
        for url in sorted(urls - set(self._servers)):
            log.info("the server at %s has joined", url)
            server = Server(url, self._connect, target=target, problem=f"the server at {url} was not looked at yet")
            self._servers[url] = server
            self._start(server, self._watch(server))
        for server in self.all:
            if server.target == target:
                if server.url not in urls and not server.leaving:
                    log.info("the server at %s is leaving", server.url)
                server.leaving = server.url not in urls
                self._drop_if_left(server)
        self.changed()

    def _drop_if_left(self, server: Server) -> None:
        """Forget a server that leaves, once it has finished what it had."""
        if server.leaving and not server.work and self._servers.get(server.url) is server:
            del self._servers[server.url]
            self._tasks.pop(server).cancel()
            self._start(server.bark, self._close(server))

    async def _close(self, server: Server) -> None:
        await server.bark.close()
        self.gone(server.url)
        del self._tasks[server.bark]


async def _health(server: Server, *, timeout_s: float) -> Health:
    try:
        async with asyncio.timeout(timeout_s):  # the client makes several calls, each with this timeout
            return await server.bark.health(timeout=timeout_s)
    except TimeoutError:
        problem = f"the server at {server.url} did not answer for {timeout_s:g} s"
        return Health(live=False, ready=False, problem=problem)
    except BarkError as error:  # the client was closed meanwhile
        return Health(live=False, ready=False, problem=str(error))


def connect(url: str, *, connect_timeout_s: float, answer_timeout_s: float) -> AsyncBarkClient:
    """A client of one server. It keeps no audio, because nothing reads that once it has left."""
    return AsyncBarkClient(url, connect_timeout=connect_timeout_s, answer_timeout=answer_timeout_s, keep_audio=False)
