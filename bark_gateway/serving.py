"""How a gateway is served: what is checked before it listens, and how uvicorn runs it."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from bark_client import InvalidRequest
from bark_gateway import targets
from bark_gateway.keys import ANYBODY, Key, KeyRing, KeysUnreadable, plain_keys, read_keys

KEYS_VARIABLE: Final = "BARK_GATEWAY_KEYS"
LISTENS: Final = "The gateway listens on "  #: begins the line that says where; `bark-serve up --gateway` waits for it
MESSAGE_BYTES: Final = 1 << 20  #: of a WebSocket
FAREWELL_S: Final = 1.0  #: that connections get to end once their requests were cancelled


class WrongSetting(Exception):
    """An option has a wrong value; the message says which, and what to give instead."""


def key_ring(path: Path | None) -> KeyRing:
    """The keys of a file and of the environment. Raises WrongSetting."""
    try:
        named = read_keys(path) if path else []
    except KeysUnreadable as error:
        raise WrongSetting(f"--keys {error}") from None
    return KeyRing([*named, *plain_keys(os.environ.get(KEYS_VARIABLE, ""))])


def check_address(address: str, *, keys: KeyRing, insecure: bool) -> None:
    """Raise WrongSetting if a network could reach the gateway without a key, unless that is wanted."""
    if _is_loopback(address) or keys:
        return
    if not insecure:
        raise WrongSetting(
            f"On {address}, anybody in the network could speak: there are no API keys. Give a file of keys with --keys "
            "(--new-key makes one), or say --insecure."
        )
    print(f"Insecure: anybody who reaches {address} may speak, clone voices and delete them.", file=sys.stderr)


def listen_wyoming(port: int, *, address: str, published: str | None, insecure: bool) -> socket.socket:
    """Where Wyoming's clients connect. Raises WrongSetting; a network is refused unless it is wanted."""
    if not (insecure or _is_loopback(published or address)):
        raise WrongSetting(
            f"Wyoming has no keys: on {address}, anybody in the network could speak. If that is meant, say --insecure."
        )
    try:
        listener = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    except OSError as error:
        raise WrongSetting(f"--wyoming {port}: can't listen on {address} ({error.strerror}).") from None
    print(f"Wyoming listens on tcp://{address}:{port}", file=sys.stderr, flush=True)
    return listener


def wyoming_key(name: str | None, *, keys: KeyRing) -> Key:
    """The key whose limits hold for Wyoming. Raises WrongSetting."""
    if name is None:
        return ANYBODY
    found = keys.named(name)
    if found is None:
        raise WrongSetting(f"--wyoming-key {name}: there is no key of this name.")
    return found


def check_servers(urls: Iterable[str]) -> None:
    """Raise WrongSetting for an address that can be none of a server."""
    try:
        for one in urls:
            targets.parse(one)
    except InvalidRequest as error:
        raise WrongSetting(f"--server {error}") from None


def voice_names(pairs: Iterable[str]) -> dict[str, str]:
    """Other names of voices, from `OTHER=NAME`. Raises WrongSetting."""
    names = {}
    for pair in pairs:
        other, equals, name = pair.partition("=")
        if not (other and equals and name):
            raise WrongSetting(f"--voice {pair}: write OTHER=NAME, as in alloy=joe.")
        names[other] = name
    return names


def url(address: str, port: int, *, tls: bool) -> str:
    """Where a browser on this machine finds the gateway."""
    host = {"0.0.0.0": "localhost", "::": "localhost", "127.0.0.1": "localhost"}.get(address, address)
    host = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{host}:{port}"


def _is_loopback(address: str) -> bool:
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class PatientSocket(WebSocketsSansIOProtocol):
    """A WebSocket that uvicorn does not close at a stop: the gateway does, once what its client sent is spoken."""

    def shutdown(self) -> None:
        if self.close_sent or not self.handshake_complete:
            super().shutdown()


#: How uvicorn serves every gateway. Its own lines are left out: `access` writes better ones. Compression of WebSockets
#: would hold 100 kB per connection, and audio is compressed already.
UVICORN: Final[dict[str, Any]] = {
    "http": "httptools",
    "ws": PatientSocket,
    "access_log": False,
    "log_config": None,
    "server_header": False,
    "ws_max_size": MESSAGE_BYTES,
    "ws_per_message_deflate": False,
}


class Server(uvicorn.Server):
    """Says where it listens, once it does, and tells the gateway when it begins to stop."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            where = url(self.config.host, self.config.port, tls=self.config.is_ssl)
            print(f"{LISTENS}{where}", file=sys.stderr, flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app: Any = self.config.app
        app.state.gateway.stop()  # WebSockets and Wyoming's connections have the same grace time
        await super().shutdown(sockets)
        # What was cancelled at the end of the grace time has yet to tell its clients, and they have yet to answer.
        over = time.monotonic() + FAREWELL_S
        while (self.server_state.tasks or self.server_state.connections) and time.monotonic() < over:
            await asyncio.sleep(0.02)  # as uvicorn waits for them: it has no event


def run(config: uvicorn.Config) -> bool:
    """Serve until SIGINT or SIGTERM. Returns whether it could start; if not, uvicorn has said why."""
    server = Server(config)
    try:
        server.run()
    except (KeyboardInterrupt, SystemExit):  # uvicorn raises the signal again once it has stopped
        return server.started
    return server.started
