"""Events of Wyoming, which anybody may send: what is none is refused, and none is larger than it may be."""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeVar

from wyoming.event import Event
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart

from bark_gateway.errors import GatewayError, invalid

BROKEN: Final = (AttributeError, KeyError, TypeError, RecursionError, asyncio.IncompleteReadError)  #: raised by readers
E = TypeVar("E", Synthesize, SynthesizeStart, SynthesizeChunk)


def not_wyoming() -> GatewayError:
    """The error of an event that is none."""
    return invalid("This is no event of Wyoming.", code="invalid_event")


def parsed(kind: type[E], event: Event) -> E:
    """What an event says. Raises GatewayError."""
    try:
        found = kind.from_event(event)
        if not isinstance(getattr(found, "text", ""), str):
            raise TypeError
    except BROKEN:
        raise invalid(f"{event.type}: its data is not what Wyoming says.", code="invalid_event") from None
    return found


class Bounded:
    """A StreamReader that refuses to gather more than an event may have. most: bytes of its data, or payload."""

    def __init__(self, reader: asyncio.StreamReader, *, most: int) -> None:
        self._reader, self._most = reader, most

    async def readline(self) -> bytes:
        try:
            return await self._reader.readline()
        except ValueError:  # asyncio's limit of a line
            raise _too_large("The first line of an event has more than 64 KiB. Send its data after it.") from None

    async def readexactly(self, count: Any) -> bytes:
        if count > self._most:
            raise _too_large(f"An event has more than {self._most} bytes. Send less text at once.")
        return await self._reader.readexactly(count)


def _too_large(told: str) -> GatewayError:
    return GatewayError(413, told, code="request_too_large")
