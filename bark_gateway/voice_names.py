"""Other names of voices, as `--voice` gives them, are compared with the voices that there are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from bark_client import BarkError
from bark_gateway.servers import Server, Servers
from bark_gateway.wording import did_you_mean

log = logging.getLogger(__name__)
AGAIN_S: Final = 0.5  #: between two looks whether a server has become ready


@contextmanager
def checked_names(names: Mapping[str, str], *, servers: Servers) -> Iterator[None]:
    """Once a server answers, warn of each name whose voice does not exist. A voice may be cloned later."""
    task = asyncio.create_task(_warn(names, servers=servers)) if names else None
    try:
        yield
    finally:
        if task is not None:
            task.cancel()


async def _warn(names: Mapping[str, str], *, servers: Servers) -> None:
    """Ask each server when it becomes ready, until one answers. Not by `lend`: an error here is none of a speech."""
    asked: set[Server] = set()
    while True:
        await asyncio.sleep(AGAIN_S)
        ready = {server for server in servers.all if server.was_ready}
        for server in ready - asked:
            with suppress(BarkError):
                _compare(names, known=[info.name for info in await server.bark.voices()])
                return
        asked = ready


def _compare(names: Mapping[str, str], *, known: Sequence[str]) -> None:
    for other, name in names.items():
        if name not in known:
            log.warning("--voice %s=%s: there is no voice %r yet.%s", other, name, name, did_you_mean(name, known))
