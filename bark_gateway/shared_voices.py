"""Changes of the voice store that the servers behind one gateway share.

There is one store, on a folder that all servers have, because only then a deleted voice is gone: a server that was away
would bring back its own copy. So a change is made on one server, and the others are asked whether they see it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from bark_client import AsyncBarkClient, BarkError, InvalidRequest, ServerUnavailable, VoiceInfo
from bark_gateway.errors import SET_UP_WRONGLY, GatewayError
from bark_gateway.servers import Servers

POLL_S: Final = 0.2
_REMEDY: Final = (
    "The servers behind this gateway do not share their voices. Their operator must start all of them with the same "
    "--voice-store, on a shared folder."
)


async def keep(
    make: Callable[[AsyncBarkClient], Awaitable[VoiceInfo]], *, servers: Servers, overwrite: bool, wait_s: float
) -> VoiceInfo:
    """Make a voice on one server. If another one does not see it within `wait_s`, it is not kept.

    Raises BarkError, and GatewayError if the servers share no store.
    """
    with servers.lend() as server:
        made = await make(server.bark)
    others = [other.bark for other in servers.others([server])]
    seen = await asyncio.gather(*(_sees(other, made, wait_s=wait_s) for other in others))
    if all(seen):
        return made
    if overwrite:  # what it replaced is gone anyway
        raise _not_shared(f"Some servers have another voice {made.name!r} now.")
    await server.bark.delete_voice(made.name)
    raise _not_shared("The voice is not kept.")


async def delete(name: str, *, servers: Servers) -> None:
    """Delete a voice on every server that has it. Raises BarkError if none had it, or could delete it."""
    errors: list[BarkError] = []
    ready = servers.ready
    for server in ready:
        try:
            await server.bark.delete_voice(name)
        except BarkError as error:  # most likely: the server before it has deleted it from the store of both
            errors.append(error)
    if not ready:
        raise ServerUnavailable(servers.problem)
    if len(errors) == len(ready):
        raise errors[0]


async def _sees(bark: AsyncBarkClient, voice: VoiceInfo, *, wait_s: float) -> bool:
    """Whether a server has a voice. A folder on a network takes some seconds; a server that is away sees it later."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            if (await bark.voice_info(voice.name)).hash == voice.hash:
                return True
        except InvalidRequest:
            pass
        except BarkError:
            return True
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL_S)


def _not_shared(what: str) -> GatewayError:
    return GatewayError(SET_UP_WRONGLY, f"{what} {_REMEDY}", code="voices_not_shared")
