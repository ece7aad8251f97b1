"""What can go wrong, named for what the caller can do about it."""

from __future__ import annotations

import re
from typing import Final


class BarkError(Exception):
    """The base of all errors that this client raises on purpose."""


class InvalidRequest(BarkError):
    """Change the request: a text, voice or option is wrong; the message says which, and the limit it broke."""


class ServerUnavailable(BarkError):
    """Start the server, wait for it, or check its address; sending the same request again is then right."""

    def __init__(self, message: str, *, nobody_at: str = "") -> None:
        super().__init__(message)
        self.nobody_at = nobody_at  #: the address where no server of Bark answered; empty for another reason


class RequestTimeout(BarkError):
    """Allow more time or ask for less text: the request was cancelled on the server when its time was up."""


class RequestCancelled(BarkError):
    """Send it again if it is still wanted: this client, or the server as it stopped, ended the request."""


class ServerError(BarkError):
    """Read the server's log: it failed on a valid request, or its answer can't be read."""


class SpeechFailed(BarkError):
    """Try another seed or another text: every take of a piece failed, and `on_failure` is "error"."""


class MissingExtra(BarkError):
    """Install the optional package that the message names."""


_BY_CODE: Final[dict[str, type[BarkError]]] = {
    "INVALID_ARGUMENT": InvalidRequest,
    "OUT_OF_RANGE": InvalidRequest,
    "UNAVAILABLE": ServerUnavailable,
    "NOT_FOUND": ServerUnavailable,
    "RESOURCE_EXHAUSTED": ServerUnavailable,
    "DEADLINE_EXCEEDED": RequestTimeout,
    "CANCELLED": RequestCancelled,
    "INTERNAL": ServerError,
    "SPEECH_FAILED": SpeechFailed,
}
_CODED = re.compile(rf"\[({'|'.join(_BY_CODE)})\]\s*(.*)", re.DOTALL)
# Triton's own messages, which carry no code, for a model that isn't loaded (yet).
_NO_MODEL = re.compile(r"unknown model|is not found|is not ready|no available versions")
# … and for every request while it starts or stops.
_NO_SERVER_YET = "Server not ready"
# gRPC's words for an answer that is none of gRPC, and for one of HTTP/1. The fourth byte of "HTTP" is 80.
_NO_GRPC = "Failed parsing HTTP/2"
_HTTP_1 = re.compile(r"http1\.x server|got frame type 80\b")
USUAL_PORT = "8001"  # of Triton's gRPC endpoint
# gRPC's words for a connection that the other end closed. Triton's HTTP port closes each one; so does a dying server.
_CLOSED = re.compile(r"Socket closed|Connection reset by peer")


def error_from_text(text: str, *, url: str) -> BarkError:
    """The error for a message of the server: `[CODE] one sentence`, or Triton's own message without a code."""
    coded = _CODED.search(text)
    if _NO_SERVER_YET in text and (coded is None or coded[1] in ("UNAVAILABLE", "INTERNAL")):  # also of a stage
        return _starts_or_stops(url)
    if coded:
        code, sentence = coded.groups()
        return _BY_CODE[code](sentence.strip() or code.lower().replace("_", " "))
    if _NO_MODEL.search(text):
        return ServerUnavailable(f"{text.strip()}: the server at {url} is starting or stopping, or doesn't serve Bark")
    return ServerError(text.strip() or f"the server at {url} reported an error without a message")


def _unavailable(details: str, *, url: str) -> ServerUnavailable:
    """What the words of gRPC or Triton say about the other end."""
    if _NO_SERVER_YET in details:
        return _starts_or_stops(url)
    if _NO_GRPC in details:
        what = "an HTTP server" if _HTTP_1.search(details) else "another server"
        return ServerUnavailable(
            f"{what} answers at {url}, and this client needs Triton's gRPC port, usually 8001: correct the address. "
            "The gateway's port, usually 8080, is for programs that speak through OpenAI's interface",
            nobody_at=url,
        )
    if _CLOSED.search(details):
        return ServerUnavailable(
            f"the connection to {url} was closed: the server there stopped, or it isn't Triton's gRPC port, usually "
            f"8001: start the server with `{start_command(url)}`, or correct the address",
            nobody_at=url,
        )
    reason = details.rpartition(": ")[2] or "no connection"
    return ServerUnavailable(
        f"no server answers at {url} ({reason}): start one with `{start_command(url)}` "
        "(in a checkout set up by make, `.venv/bin/bark-serve`), or correct the address: that of Triton's gRPC "
        "port, usually 8001",
        nobody_at=url,
    )


def start_command(url: str) -> str:
    """The command that starts a server at the port of `url`, on the machine that `url` names."""
    port = url.rpartition(":")[2]
    return "bark-serve up" if port == USUAL_PORT else f"bark-serve up --grpc-port {port}"


def error_from_status(code: str, details: str, *, url: str) -> BarkError:
    """The error that ended a call: `code` is the name of a gRPC status (`UNAVAILABLE`), `details` its text."""
    if _CODED.search(details):
        return error_from_text(details, url=url)
    if code == "UNAVAILABLE":
        return _unavailable(details, url=url)
    if code == "DEADLINE_EXCEEDED":
        return RequestTimeout(f"the server at {url} didn't finish in time: allow a longer timeout")
    if code == "CANCELLED":
        return RequestCancelled("the request was cancelled before it was finished")
    kind = _BY_CODE.get(code, ServerError)
    return kind(f"{details or 'no details'} ({code} from {url})")


def _starts_or_stops(url: str) -> ServerUnavailable:
    return ServerUnavailable(
        f"the server at {url} is stopping, or has just started, and takes no requests now: send it again in a moment"
    )
