"""Calls to other models: answers, errors, and what happens when the process that should answer dies."""

from __future__ import annotations

import asyncio
import subprocess
import threading
import time
from collections.abc import Iterator

import numpy as np
import psutil
import pytest

from bark_serving.errors import InvalidRequest, StageFailed
from bark_serving.triton.in_process import Backend

ONE = np.ones(1, np.float32)


@pytest.fixture
def stub() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for a model's."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_an_answer_and_an_error_come_back(backend: Backend) -> None:
    from bark_serving.triton.bls import BlsCaller

    def answer(x: np.ndarray) -> dict[str, np.ndarray]:
        if x[0] < 0:
            raise ValueError("in ensemble 'a', [INVALID_ARGUMENT] x is negative.")
        return {"y": 2 * x}

    backend.answer = answer
    caller = BlsCaller()
    assert asyncio.run(caller.call("double", {"x": ONE}, ["y"]))["y"] == 2
    with pytest.raises(InvalidRequest, match="x is negative"):
        asyncio.run(caller.call("double", {"x": -ONE}, ["y"]))


def test_a_call_ends_when_the_process_dies_that_should_answer(
    backend: Backend, stub: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any number of calls: each has a thread of its own, so they need no room in a pool of threads."""
    from bark_serving.triton import bls

    never, asked = threading.Event(), threading.Semaphore(0)

    def answer(**_: np.ndarray) -> dict[str, np.ndarray]:
        asked.release()
        never.wait()
        return {}

    async def speak() -> list[object]:
        caller = bls.BlsCaller()
        calls = [asyncio.create_task(caller.call("coarse", {"x": ONE}, ["y"])) for _ in range(100)]
        for _ in calls:
            await asyncio.to_thread(asked.acquire)
        stub.kill()
        begun = time.monotonic()
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert time.monotonic() - begun < 5 * bls.WATCH_INTERVAL_S
        return ended

    backend.answer = answer
    monkeypatch.setattr(bls, "running_stubs", lambda _triton: {psutil.Process(stub.pid): "coarse"})
    ended = asyncio.run(speak())
    never.set()
    assert {type(error) for error in ended} == {StageFailed}
    assert str(ended[0]) == "[UNAVAILABLE] the process of coarse died."


def test_a_model_without_a_process_of_its_own_is_waited_for(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    from bark_serving.triton import bls

    def answer(x: np.ndarray) -> dict[str, np.ndarray]:
        time.sleep(0.1)  # longer than several checks
        return {"y": x}

    backend.answer = answer
    monkeypatch.setattr(bls, "WATCH_INTERVAL_S", 0.01)
    monkeypatch.setattr(bls, "running_stubs", lambda _triton: {})
    assert asyncio.run(bls.BlsCaller().call("semantic", {"x": ONE}, ["y"]))["y"] == 1
