"""Where the servers are: `host:port` of one, or `dns:///name:port`, whose addresses are a server each.

A name of the second kind is what gRPC calls a DNS target, and what a headless Service of Kubernetes has. Its addresses
come and go while the gateway runs.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from bark_client import AsyncBarkClient, InvalidRequest

DNS: Final = "dns:///"
_TARGET: Final = re.compile(r"(?P<host>[\w.-]+):(?P<port>\d{1,5})")

Resolve = Callable[["DnsTarget"], Awaitable[list[str]]]  #: the addresses of a target as `host:port`; raises OSError


@dataclass(frozen=True)
class DnsTarget:
    """A name with a server behind each of its addresses."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{DNS}{self.host}:{self.port}"


def parse(text: str) -> DnsTarget | str:
    """What `--server` names: a target, or `host:port` of one server. Raises InvalidRequest."""
    if text.startswith("dns:"):
        found = _TARGET.fullmatch(text.removeprefix(DNS))
        if not text.startswith(DNS) or found is None or not 0 < int(found["port"]) < 2**16:
            raise InvalidRequest(f"{text}: write {DNS}NAME:PORT, as in {DNS}bark-headless:8001.")
        return DnsTarget(found["host"], int(found["port"]))
    AsyncBarkClient(text)
    return text


async def resolve(target: DnsTarget) -> list[str]:
    """The addresses that a name has now. A name with addresses of both kinds is asked over IPv4. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    addresses = {kind: sorted({str(to[0]) for of, *_, to in found if of == kind}) for kind in _KINDS}
    v4, v6 = (addresses[kind] for kind in _KINDS)
    return [f"{one}:{target.port}" for one in v4] or [f"[{one}]:{target.port}" for one in v6]


_KINDS: Final = (socket.AF_INET, socket.AF_INET6)
