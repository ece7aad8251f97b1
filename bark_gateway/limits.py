"""How much is spoken at once: by all clients, and by each key."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from bark_gateway.errors import GatewayError
from bark_gateway.keys import Key

QUEUE_RETRY_S: Final = 5  #: what a client is told to wait when the queue is full
IN_FLIGHT_RETRY_S: Final = 1


class Gate:
    """At most `max_active` requests per server pass at once; at most `max_queued` wait, and the first of them is next.

    servers: how many servers are ready now. Call `look` when that may have grown.
    """

    def __init__(self, *, max_active: int, max_queued: int, servers: Callable[[], int] = lambda: 1) -> None:
        self._max_active, self._max_queued, self._servers = max_active, max_queued, servers
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.active = 0

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    @asynccontextmanager
    async def passed(self) -> AsyncIterator[None]:
        """Wait for a place and hold it. Raises GatewayError: 429, if too many wait."""
        if self._waiting or not self._free:
            await self._wait()
        else:
            self.active += 1
        try:
            yield
        finally:
            self.active -= 1
            self.look()

    def look(self) -> None:
        """Let those pass for which there is a place."""
        while self._waiting and self._free:
            place = self._waiting.popleft()
            if not place.done():  # its client has not just left
                self.active += 1  # here, so that nobody else takes the place
                place.set_result(None)

    @property
    def _free(self) -> bool:
        """Whether there is a place. Without a server there is one, so that nobody waits to hear of it."""
        return self.active < self._max_active * max(1, self._servers())

    async def _wait(self) -> None:
        if self.queued >= self._max_queued:
            raise GatewayError(
                429,
                f"{self.active} requests are spoken and {self.queued} wait. Send it again later.",
                code="queue_full",
                retry_after=QUEUE_RETRY_S,
            )
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place in self._waiting:
                self._waiting.remove(place)
            elif not place.cancelled():  # it had just got the place
                self.active -= 1
                self.look()
            raise


class Quotas:
    """What each key has under way, and what it may still say in this minute."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._in_flight: Counter[str] = Counter()
        self._spent: dict[str, tuple[float, float]] = {}  # key → characters that are not yet earned back, and when

    @contextmanager
    def request(self, key: Key) -> Iterator[None]:
        """Count a request while it is under way. Raises GatewayError: 429, if the key has too many."""
        limit = key.requests_in_flight
        if limit is not None and self.in_flight(key) >= limit:
            raise GatewayError(
                429,
                f"This key has {limit} requests under way, which is its limit. Wait until one has ended.",
                code="too_many_requests_in_flight",
                retry_after=IN_FLIGHT_RETRY_S,
            )
        self._in_flight[key.sha256] += 1
        try:
            yield
        finally:
            self._in_flight[key.sha256] -= 1

    def in_flight(self, key: Key) -> int:
        """The requests of a key that are under way."""
        return self._in_flight[key.sha256]

    def spend(self, key: Key, characters: int) -> None:
        """Count the characters of a text. Raises GatewayError: 429, if the key has spent those of this minute."""
        limit = key.characters_per_minute
        if limit is None:
            return
        now = self._clock()
        spent, since = self._spent.get(key.sha256, (0.0, now))
        spent = max(0.0, spent - (now - since) * limit / 60)
        if characters > limit:
            raise GatewayError(
                400,
                f"input: it has {characters} characters; this key may send {limit} per minute. "
                "Split it into several requests.",
                param="input",
                code="string_above_max_length",
            )
        if spent + characters > limit:
            wait = math.ceil((spent + characters - limit) * 60 / limit)
            raise GatewayError(
                429,
                f"This key may say {limit} characters per minute. Send it again in {wait} s.",
                code="characters_per_minute",
                retry_after=wait,
            )
        self._spent[key.sha256] = (spent + characters, now)

    def give_back(self, key: Key, characters: int) -> None:
        """Take back what was counted for a text of which nothing was spoken, for no fault of the client."""
        if key.sha256 in self._spent:
            spent, since = self._spent[key.sha256]
            self._spent[key.sha256] = (max(0.0, spent - characters), since)
