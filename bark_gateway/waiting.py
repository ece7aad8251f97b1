"""What a client sends next, over any kind of connection on which a text may still be written."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class Idle(Exception):
    """Neither side has said anything for too long."""


async def received(
    receive: Awaitable[T], *, working: asyncio.Task[None] | None, busy: Callable[[], bool], idle_s: float
) -> T | None:
    """What `receive` gives; None once `working` has ended. Raises what ended that.

    Raises Idle if nothing comes for `idle_s` seconds while the connection is not busy.
    """
    receiving = asyncio.ensure_future(receive)
    waiting: set[asyncio.Future[T] | asyncio.Task[None]] = {receiving, working} if working else {receiving}
    try:
        while not receiving.done():
            done, _ = await asyncio.wait(waiting, timeout=idle_s, return_when=asyncio.FIRST_COMPLETED)
            if working is not None and working in done:
                working.result()
                return None
            if not done and not busy():
                raise Idle
        return receiving.result()
    finally:
        receiving.cancel()
