"""What a client does while a server is silent: it looks whether the server is still there. Pure: the clients look.

Triton (24.10) leaves a stream open for ever when the process that answers it dies, and a machine that lost its network
says nothing. So the server sends a heartbeat, an empty answer, every half second, and a silent server is looked at.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

from bark_client.errors import BarkError, RequestTimeout, ServerUnavailable

HEARTBEAT: Final = "bark-heartbeat"  #: the parameter of a request that asks for heartbeats
LOOK_AFTER_S: Final = 1.0  #: of silence
LOOK_EVERY_S: Final = 0.25  #: after the first look, as long as the silence lasts
GONE_S: Final = 8.0  #: that a look may take; a server that takes longer is gone
MIN_LOOK_S: Final = 0.01  #: of a look at the end of the caller's time
MAX_SILENT_S: Final = 15.0  #: without a heartbeat, of a server that sent some and still seems to be ready


class Silence:
    """How long a call has been silent, and what that means."""

    def __init__(self, *, url: str, timeout: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """timeout: seconds of the whole call, if it has a limit of its own."""
        self._url, self._clock = url, clock
        self._ends = math.inf if timeout is None else clock() + timeout
        self._beats = False
        self.begin()

    def begin(self) -> None:
        """The silence begins now: something came, or the caller begins to wait."""
        self._since = self._clock()
        self._next_look = self._since + LOOK_AFTER_S

    def beat(self) -> None:
        """A heartbeat came."""
        self._beats = True
        self.begin()

    def wait(self) -> float:
        """Seconds until the server must be looked at."""
        return max(0.0, self._next_look - self._clock())

    def look_seconds(self) -> float:
        """How long a look may take: no longer than what is left of the call's own time."""
        return min(GONE_S, max(MIN_LOOK_S, self._ends - self._clock()))

    def looked(self, *, ready: bool) -> None:
        """The server was there. ready: whether its model is. Raises ServerUnavailable if the call can not end well."""
        now = self._clock()
        self._next_look = now + LOOK_EVERY_S
        if not ready:
            raise ServerUnavailable(f"the process that spoke died, or the server at {self._url} is stopping")
        if self._beats and now - self._since > MAX_SILENT_S:
            raise ServerUnavailable(f"the server at {self._url} has been silent for {MAX_SILENT_S:g} s: see its log")

    def not_seen(self, error: BarkError, *, seconds: float) -> None:
        """A look that was allowed ``seconds`` failed. Raises `lost`, unless the call ends now and says itself why."""
        if not (isinstance(error, RequestTimeout) and seconds < GONE_S):
            raise self.lost(error)

    def lost(self, error: BarkError) -> BarkError:
        """The error of a call whose server can't be looked at because of `error`."""
        if isinstance(error, RequestTimeout):
            return ServerUnavailable(f"the server at {self._url} did not answer for {GONE_S:g} s: it hangs or is gone")
        return error
