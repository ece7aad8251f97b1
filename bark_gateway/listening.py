"""Opens the ports of a gateway, or says in words why one can't be opened."""

from __future__ import annotations

import errno
import os
import socket
from typing import Final

from bark_gateway.checks import WrongSetting

_ADDRESSES: Final = "127.0.0.1 is this machine alone, 0.0.0.0 is all its addresses."
_ROOT_PORTS: Final = 1024  #: ports below it are for root
#: What may wait to be sent, in the kernel and in each layer of asyncio above it: 4 s at 64 kbit/s. So a client that
#: takes audio no faster than it plays is seen to take some every few seconds. By itself, Linux lets 4 MiB wait and
#: takes more once a third of that has left, after 175 s. TLS in asyncio lets 512 KiB wait, 66 s. Both are longer than
#: `Settings.send_timeout_s`.
UNSENT_BYTES: Final = 32 << 10


def listen(address: str, port: int, *, options: tuple[str, str] = ("--address", "--port")) -> list[socket.socket]:
    """A socket for each address that a name has. options: those that give address and port. Raises WrongSetting."""
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise WrongSetting(
            f"{options[0]} {address}: it is no address, and no name that is known here ({error.strerror}). {_ADDRESSES}"
        ) from None
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    for family, place in dict.fromkeys((family, place[:2]) for family, *_, place in found):
        try:
            sockets.append(_open(place, family=family))
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                _close(sockets)
                raise WrongSetting(_why(error, address, port, options=options)) from None
            missing = error  # a name may also have an address that this machine lacks, such as ::1
    if missing is not None and not sockets:
        raise WrongSetting(_why(missing, address, port, options=options))
    return sockets


def _open(place: tuple[str | int, int | bytes], *, family: int) -> socket.socket:
    listener = socket.create_server(place, family=family)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # Windows has none
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)  # its connections inherit it
    return listener


def url(address: str, port: int, *, tls: bool) -> str:
    """Where a browser on this machine finds the gateway."""
    host = {"0.0.0.0": "localhost", "::": "localhost", "127.0.0.1": "localhost"}.get(address, address)
    host = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{host}:{port}"


def _why(error: OSError, address: str, port: int, *, options: tuple[str, str]) -> str:
    of_address, of_port = options
    if error.errno == errno.EADDRINUSE:
        return f"{of_port} {port}: another program listens on {address}:{port}. End it, or give another {of_port}."
    if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return f"{of_address} {address}: this machine has no such address. {_ADDRESSES}"
    if error.errno in (errno.EACCES, errno.EPERM) and port < _ROOT_PORTS:
        return f"{of_port} {port}: ports below {_ROOT_PORTS} are for root. Give a higher {of_port}."
    return f"{of_port} {port}: can't listen on {address} ({os.strerror(error.errno or 0)})."


def _close(sockets: list[socket.socket]) -> None:
    for one in sockets:
        one.close()
