"""The model `bark`: whatever happens, a request is answered and its stream ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bark_serving.errors import InvalidRequest
from bark_serving.triton.in_process import Backend


class Stream:
    """Triton's end of a stream."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, answer: Any = None, *, flags: int = 0) -> None:
        self.sent.append("the end" if flags else answer.error().message() if answer.has_error() else "a heartbeat")

    def is_cancelled(self) -> bool:
        return False


class Panic(BaseException):
    """As a library in Rust raises: no Exception."""


class Metrics:
    def __init__(self) -> None:
        self.counted: list[str] = []

    def begun(self) -> None:
        self.counted.append("begun")

    def ended(self, how: str) -> None:
        self.counted.append(how)


@pytest.mark.parametrize(
    ("error", "said", "counted"),
    [
        (Panic("byte index"), "[INTERNAL] Panic; the server's log has more.", "failed"),
        (RuntimeError("secret path"), "[INTERNAL] RuntimeError; the server's log has more.", "failed"),
        (InvalidRequest("text is empty."), "[INVALID_ARGUMENT] text is empty.", "refused"),
    ],
)
def test_a_request_that_fails_is_told_why_and_its_stream_ends(
    backend: Backend, error: BaseException, said: str, counted: str
) -> None:
    from bark_serving.triton.bark_model import Sender, serve

    async def speaking() -> None:
        raise error

    stream, metrics = Stream(), Metrics()
    asyncio.run(serve(speaking(), Sender(stream, heartbeat=False), metrics))  # type: ignore[arg-type]
    assert stream.sent == [said, "the end"]
    assert metrics.counted == ["begun", counted]


@pytest.mark.parametrize(("heartbeat", "sent"), [(True, ["a heartbeat"] * 3), (False, [])])
def test_a_silent_stream_has_heartbeats_if_its_client_wants_them(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, heartbeat: bool, sent: list[str]
) -> None:
    from bark_serving.triton import bark_model

    monkeypatch.setattr(bark_model, "CANCEL_POLL_S", 0.001)
    monkeypatch.setattr(bark_model, "HEARTBEAT_S", 0.01)
    stream = Stream()

    async def speaking() -> None:
        deadline = asyncio.get_running_loop().time() + (5 if heartbeat else 0.1)
        while len(stream.sent) < 3 and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.001)

    asyncio.run(bark_model.serve(speaking(), bark_model.Sender(stream, heartbeat=heartbeat), Metrics()))  # type: ignore[arg-type]
    assert stream.sent == [*sent, "the end"]
