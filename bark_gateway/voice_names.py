"""Other names of voices, as `--voice` gives them, are compared with the voices that there are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final

from bark_client import BarkError
from bark_gateway.servers import Servers
from bark_gateway.wording import did_you_mean

log = logging.getLogger(__name__)
_AGAIN_S: Final = 0.5  #: between two looks, while no server answers


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
    known = None
    while known is None:
        await asyncio.sleep(_AGAIN_S)
        if any(server.was_ready for server in servers.all):  # a question to another one would count as its failure
            with suppress(BarkError):
                known = [info.name for info in await servers.ask(lambda bark: bark.voices())]
    for other, name in names.items():
        if name not in known:
            log.warning("--voice %s=%s: there is no voice %r yet.%s", other, name, name, did_you_mean(name, known))
