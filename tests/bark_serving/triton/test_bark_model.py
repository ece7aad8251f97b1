"""The model `bark`: whatever happens, a request is answered and its stream ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import numpy as np
import pytest

from bark_serving.spec import Spec
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


@pytest.mark.parametrize(
    ("error", "said", "counted"),
    [
        (Panic("byte index"), "[INTERNAL] Panic; the server's log has more.", "failed"),
        (RuntimeError("secret path"), "[INTERNAL] RuntimeError; the server's log has more.", "failed"),
    ],
)
def test_a_request_that_breaks_the_server_s_code_is_told_so(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, error: BaseException, said: str, counted: str
) -> None:
    from bark_serving.triton import bark_model

    class Broken:
        async def speak(self, request: Any, *, request_id: str) -> AsyncGenerator[Any, None]:
            raise error
            yield

    class Metrics:
        ends: list[str] = []  # noqa: RUF012 - of one test

        def ended(self, how: str) -> None:
            self.ends.append(how)

    model = bark_model.BarkModel()
    model._spec, model._orchestrator, model._metrics = Spec(name="test"), Broken(), Metrics()  # type: ignore[assignment]
    sender, text = Sender(), np.array([b"Hello."], np.object_)
    asyncio.run(model._answer({"text": text}, sender))
    assert sender.sent == [said, "the end"]
    assert Metrics.ends.pop() == counted
