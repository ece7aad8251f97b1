"""What is done with every request: an id, a limit of its body, and a line of JSON in the log."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import re
import secrets
import time
from collections.abc import Collection, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from bark_gateway.errors import RETRY_AFTER_S, GatewayError
from bark_tracing import NO_SPAN, Span, Tracing

log: Final = logging.getLogger("bark_gateway")  # the name of this module is that of the access log
access_log: Final = logging.getLogger("bark_gateway.access")
_REQUEST_ID: Final = re.compile(r"[\w.-]{1,64}")
#: The span of the HTTP request or WebSocket that this task works for.
CURRENT: Final[ContextVar[Span]] = ContextVar("span", default=NO_SPAN)
SWITCHED: Final = 101  #: the status of a WebSocket that was accepted
_PRIVATE: Final = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".svc")  #: ends of names
READ_ON_S: Final = 2.0  #: that a client gets to send the rest of a body which is already refused
_ALWAYS: Final = ("/health/live", "/metrics")  #: paths that also a gateway which stops answers
_QUIET: Final = ("/health/", "/metrics")  #: paths that are asked for all the time


class Observed:
    """Gives each request an id and a span, and writes a line of JSON when it has ended."""

    def __init__(self, app: ASGIApp, *, tracing: Tracing) -> None:
        self._app, self._tracing = app, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        seen: dict[str, Any] = {"status": None, "bytes": 0}
        state = scope.setdefault("state", {})
        state["request_id"], started = request_id, time.monotonic()

        async def observed(message: Message) -> None:
            kind = message["type"].removeprefix("websocket.")
            if kind == "http.response.start":  # also the refusal of a WebSocket
                seen["status"] = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            elif kind == "accept":
                seen["status"] = SWITCHED
            elif data := message.get("body") or message.get("bytes"):
                seen.setdefault("first_byte_s", round(time.monotonic() - started, 4))
                seen["bytes"] += len(data)
            await send(message)

        name = f"{scope.get('method', 'WEBSOCKET')} {scope['path']}"
        span = self._tracing.request(name, traceparent=headers.get("traceparent"), request_id=request_id)
        CURRENT.set(span)
        try:
            with span:
                await self._app(scope, receive, observed)
                span.note(**{"http.response.status_code": seen["status"] or 0, "outcome": state.get("outcome", "")})
        finally:
            if seen["status"] is not None:
                route = scope.get("route")
                scope["app"].state.gateway.metrics.answered(getattr(route, "path", "other"), seen["status"])
            if not scope["path"].startswith(_QUIET):
                self._write(scope, {**seen, "seconds": round(time.monotonic() - started, 4)})

    def _write(self, scope: Scope, seen: dict[str, Any]) -> None:
        client, state = scope.get("client"), scope["state"]
        write_line(
            id=state["request_id"],
            client=client[0] if client else None,
            key=state.get("key") or None,
            method=scope.get("method", "WEBSOCKET"),
            path=scope["path"],
            **seen,
            **{name: state[name] for name in ("outcome", "consent") if state.get(name)},
        )


def note_outcome(scope: Scope, error: GatewayError) -> None:
    """Note for the access log how a request was refused, or failed."""
    scope.setdefault("state", {})["outcome"] = error.code or ("failed" if error.status_code >= 500 else "refused")


def write_line(**fields: Any) -> None:
    """A line of JSON in the access log."""
    access_log.info(json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **fields}))


class HeadAsGet:
    """Answers HEAD as GET, without the body: monitors ask so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        asked = {**scope, "method": "GET"}

        async def without_body(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        try:
            await self._app(asked, receive, without_body)
        finally:
            scope["route"] = asked.get("route")  # for the metrics


class Bugs:
    """Answers 500 for a bug of the gateway. It is the innermost layer, so that this answer is seen like any other."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = scope["type"] != "http"

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception:
            if begun:  # the server ends the connection, and logs the error
                raise
            log.exception("a request failed by a bug of the gateway")
            error = GatewayError(500, "The gateway failed; its log says how.", code="internal_error")
            note_outcome(scope, error)
            await error.response()(scope, receive, send)


@dataclass(frozen=True)
class Size:
    """How many bytes a body may have, and what a client is told to do that sends more."""

    most: int
    remedy: str


class BodyLimit:
    """Refuses bodies that are too large, at once where their header says so, and those that do not arrive in time.

    sizes: by the beginning of the path. The first one that fits counts.
    """

    def __init__(self, app: ASGIApp, *, sizes: Mapping[str, Size], timeout_s: float) -> None:
        self._app, self._sizes, self._timeout_s = app, sizes, timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        size = next(size for path, size in self._sizes.items() if scope["path"].startswith(path))
        most = size.most
        headers = Headers(scope=scope)
        declared = headers.get("content-length", "")
        received, complete = 0, declared in ("", "0") and "transfer-encoding" not in headers
        waits = "expect" in headers  # the client sends nothing before it is told to
        deadline: float | None = None  # from the first read on, because an upload waits for its turn

        async def counted() -> Message:
            nonlocal received, complete, deadline, waits
            waits = False
            deadline = deadline or time.monotonic() + self._timeout_s
            try:
                async with asyncio.timeout(None if complete else deadline - time.monotonic()):
                    message = await receive()
            except TimeoutError:
                raise _too_slow(self._timeout_s) from None
            received, complete = received + len(message.get("body", b"")), not message.get("more_body", False)
            if received > most:
                raise _too_large(size)
            return message

        async def answered(message: Message) -> None:
            nonlocal complete
            if not (complete or waits):
                complete = True
                await _read_on(receive, most=2 * most)
            await send(message)

        if declared.isdecimal() and int(declared) > most:
            await _too_large(size).response()(scope, receive, answered)
        else:
            await self._app(scope, counted, answered)


async def _read_on(receive: Receive, *, most: int) -> None:
    """Drop what is left of a body, for a moment: a client that is cut off while it sends sees no answer but a reset."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(READ_ON_S):
            while most > 0:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                most -= len(message.get("body", b""))


class Stopping:
    """Refuses what comes after the gateway was told to stop, while what came before it is still spoken."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        taken = scope["type"] not in ("http", "websocket") or scope["path"] in _ALWAYS
        if taken or not scope["app"].state.gateway.stopping.is_set():
            await self._app(scope, receive, send)
        else:
            await _refuse(stops(), scope, receive, send)


def stops() -> GatewayError:
    """The error of a request that comes too late."""
    return GatewayError(
        503,
        "This gateway is stopping, and takes nothing new. Send the same request again in a moment.",
        code="stopping",
        retry_after=RETRY_AFTER_S,
        headers={"connection": "close"},
    )


async def _refuse(error: GatewayError, scope: Scope, receive: Receive, send: Send) -> None:
    note_outcome(scope, error)
    if scope["type"] == "http":
        await error.response()(scope, receive, send)
    else:
        await WebSocket(scope, receive, send).send_denial_response(error.response())


class KnownOrigins:
    """Refuses what the pages of other sites send. Browsers send uploads and WebSockets without asking first.

    origins: those whose pages may call, as for CORS; "*" is all. The gateway's own page may always call.
    hosts: the names that this gateway has, beside those that only a private network can have; None: any. A site whose
    name leads to this gateway (DNS rebinding) would otherwise pass for the gateway's own page.
    """

    def __init__(self, app: ASGIApp, *, origins: Collection[str], hosts: Collection[str] | None) -> None:
        self._app, self._origins = app, origins
        self._hosts = None if hosts is None else {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = self._refusal(Headers(scope=scope)) if scope["type"] in ("http", "websocket") else None
        if error is None:
            await self._app(scope, receive, send)
            return
        await _refuse(error, scope, receive, send)

    def _refusal(self, headers: Headers) -> GatewayError | None:
        origin, host = headers.get("origin", ""), headers.get("host", "")
        if {origin, "*"} & set(self._origins):
            return None
        if origin and origin.partition("://")[2] != host:
            return GatewayError(
                403,
                f"Pages of {origin} may not call. The gateway's operator can allow it with --cors {origin}.",
                code="origin",
            )
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:  # half a bracket
            name = host
        if self._hosts is None or _is_private(name) or name in self._hosts:
            return None
        return GatewayError(
            403,
            f"This gateway is not known as {name}. Its operator can start it with --host {name}, or with keys.",
            code="host",
        )


def _is_private(name: str) -> bool:
    """Whether no site of the internet can have this name: an address, one word, or a name of private networks."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(_PRIVATE)
    return True


def _too_large(size: Size) -> GatewayError:
    return GatewayError(
        413,
        f"The body is larger than {size.most} bytes, which is the limit. {size.remedy}",
        code="request_too_large",
        headers={"connection": "close"},
    )


def _too_slow(seconds: float) -> GatewayError:
    return GatewayError(
        408, f"The body did not arrive within {seconds:g} s. Send it again.", code="body_too_slow",
        headers={"connection": "close"},
    )  # fmt: skip
