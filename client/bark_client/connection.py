"""What both clients need to reach a server: its address, credentials, headers and limits."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import grpc
from tritonclient.grpc import service_pb2

from bark_client import protocol
from bark_client.errors import USUAL_PORT, BarkError, InvalidRequest, RequestCancelled, error_from_status
from bark_client.exchange import Limits
from bark_client.speech import Health

DEFAULT_URL: Final = f"localhost:{USUAL_PORT}"
_HEADER: Final = re.compile(r"[0-9a-z_.-]+")
_PRINTABLE: Final = re.compile(r"[ -~]*")
CANARY_TEXT: Final = "Hello."
CANARY_OPTIONS: Final = protocol.SpeakOptions(max_duration=0.5, speed="fast")
CANARY_TIMEOUT_S: Final = 120.0  #: a large checkpoint on few cores takes minutes even for one word


@dataclass(frozen=True)
class Connection:
    """Address, credentials and limits of a client."""

    url: str
    limits: Limits
    credentials: grpc.ChannelCredentials | None = None
    headers: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        host, colon, port = self.url.rpartition(":")
        if "/" in self.url or not (colon and host and port.isdecimal()):
            raise InvalidRequest(
                f"url: expected host:port of Triton's gRPC endpoint, like {DEFAULT_URL}, not {self.url!r}"
                + "; http:// and https:// addresses are for programs that speak through OpenAI" * ("://" in self.url)
            )
        for name, value in self.metadata:
            if not _HEADER.fullmatch(name) or name.endswith("-bin") or not _PRINTABLE.fullmatch(value):
                raise InvalidRequest(
                    f"headers: {name!r} can't be sent; a name has letters, digits, _ . and - only, a value is ASCII"
                )

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return tuple((name.lower(), value) for name, value in (self.headers or {}).items())

    @property
    def channel_options(self) -> list[tuple[str, int]]:
        """Sizes have no limit, because long audio is large. gRPC reconnects as fast as our own retries need."""
        options = [
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", -1),
            ("grpc.use_local_subchannel_pool", 1),  # another client's back-off must not delay this one
            ("grpc.initial_reconnect_backoff_ms", 50),
            ("grpc.max_reconnect_backoff_ms", 1000),
            ("grpc.min_reconnect_backoff_ms", max(1, int(1000 * self.limits.connect))),  # bounds one attempt's connect
        ]
        if _is_loopback(self.url):
            options.append(("grpc.enable_http_proxy", 0))  # no proxy can reach this machine's loopback
        return options

    def error(self, error: grpc.RpcError) -> BarkError:
        """Our error for an error of gRPC."""
        code = error.code()
        name = code.name if isinstance(code, grpc.StatusCode) else "UNKNOWN"
        return error_from_status(name, error.details() or "", url=self.url)

    def health(
        self,
        *,
        metadata: service_pb2.ServerMetadataResponse | None,
        ready: bool,
        canary: float | None,
        busy: bool,
        problem: str,
    ) -> Health:
        """The health of the server; `metadata` is None if the server doesn't answer."""
        live = metadata is not None
        if live and not ready and not problem:
            problem = (
                f"the server at {self.url} runs, but its model {protocol.MODEL!r} is not ready, or one that it needs"
            )
        server = f"{metadata.name} {metadata.version}" if metadata is not None else ""
        return Health(live=live, ready=ready, server=server, canary_seconds=canary, busy=busy, problem=problem)


def closed_error() -> RequestCancelled:
    """The error of every method of a closed client."""
    return RequestCancelled("this client is closed: make a new one")


def _is_loopback(url: str) -> bool:
    host = url.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
