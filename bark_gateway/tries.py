"""Whether another server gets a call that one server failed on before its first audio."""

from __future__ import annotations

from collections.abc import Sequence

from bark_client import BarkError, InvalidRequest, ServerError, ServerUnavailable
from bark_gateway.errors import RETRY_AFTER_S, GatewayError
from bark_gateway.requests import Call
from bark_gateway.servers import Server
from bark_gateway.wording import NO_VOICE

MAX_FAULTS = 2  #: servers that may fail on a call; a third one would, too


class Tries:
    """The servers that had a call."""

    def __init__(self, call: Call) -> None:
        self._call, self._faults = call, 0
        self.servers: list[Server] = []

    def again(self, error: BarkError, *, others: Sequence[Server]) -> bool:
        """Whether one of the others gets the call after this error of the last server."""
        if isinstance(error, ServerError):
            self._faults += 1
            return bool(others) and self._faults < MAX_FAULTS
        unseen = isinstance(error, InvalidRequest) and bool(self._call.voice) and str(error).startswith(NO_VOICE)
        return bool(others) and (unseen or isinstance(error, ServerUnavailable))


def broken_off(error: BarkError, call: Call, *, seconds: float) -> BarkError | GatewayError:
    """What a client is told that has some of the audio. It can't be sent the rest by another server."""
    if not isinstance(error, ServerUnavailable):
        return error
    return GatewayError(
        503,
        f"The speech server was lost after {seconds:.1f} s of audio. Send the same request again; with the seed "
        f"{call.seed}, its speech is the same.",
        code="server_lost",
        retry_after=RETRY_AFTER_S,
    )
