"""The model `bark`: whatever happens, a request is answered and its stream ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bark_serving.errors import InvalidRequest
from bark_serving.triton.in_process import Backend


class Sender:
    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, answer: Any = None, *, flags: int = 0) -> None:
        self.sent.append("the end" if flags else answer.error().message())

    def is_cancelled(self) -> bool:
        return False


class Panic(BaseException):
    """As a library in Rust raises: no Exception."""


class Metrics:
    def __init__(self) -> None:
        self.ends: list[str] = []

    def ended(self, how: str) -> None:
        self.ends.append(how)


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
    from bark_serving.triton.bark_model import serve

    async def speaking() -> None:
        raise error

    sender, metrics = Sender(), Metrics()
    asyncio.run(serve(speaking(), sender, metrics))  # type: ignore[arg-type]
    assert sender.sent == [said, "the end"]
    assert metrics.ends == [counted]
