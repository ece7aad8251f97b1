"""Long texts that are left, cancelled or break off in the middle, by both clients, against the fake server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from bark_client import AsyncBarkClient, BarkClient, InvalidRequest, RequestCancelled, ServerError
from tests.client.asking import error_of
from tests.client.fake_triton import FakeTriton, hang, say_error, speak
from tests.client.test_long_stream import TEXT, lines, sentences


def test_leaving_early_cancels_the_request_and_sends_no_other(client: Any, triton: FakeTriton) -> None:
    triton.plan.append(hang(after_chunks=1))
    with client.stream(lines()) as stream:
        next(iter(stream))
    assert triton.cancelled.acquire(timeout=5)
    assert len(triton.requests) == 1


def test_a_cancelled_stream_says_so(client: Any, triton: FakeTriton) -> None:
    triton.plan.append(hang(after_chunks=1))
    with client.stream(lines()) as stream:
        iterator = iter(stream)
        next(iterator)
        stream.cancel()
        with pytest.raises(RequestCancelled):
            next(iterator)


def test_an_error_of_a_later_request_comes_after_the_audio_before_it(client: Any, triton: FakeTriton) -> None:
    triton.plan.extend([speak, say_error("[INVALID_ARGUMENT] text: nothing to say")])
    received = []
    with client.stream(lines()) as stream, pytest.raises(InvalidRequest, match="nothing to say"):
        received.extend(stream)
    assert len(triton.requests) == 2
    assert 0 <= sentences(triton, 1) - len(received) <= sentences(triton, 1)


def test_an_error_of_the_text_itself_reaches_the_caller(client: Any) -> None:
    def broken() -> Iterator[str]:
        yield TEXT[:400]
        raise LookupError("no more pages")

    with client.stream(broken()) as stream, pytest.raises(LookupError, match="no more pages"):
        for _ in stream:
            pass


def test_an_error_of_a_long_text_is_raised_again_however_often_the_caller_asks(client: Any, triton: FakeTriton) -> None:
    """An end without an error would say that the text was spoken."""
    triton.plan.append(say_error("[INTERNAL] no"))
    with client.stream(lines()) as stream:
        first, again = error_of(stream), error_of(stream)
    assert isinstance(first, ServerError) and again is first
    assert error_of(stream) is first, "also after the block"


def test_cancelling_wakes_a_caller_that_waits_for_text(triton: FakeTriton) -> None:
    """The text does not come, and nobody can stop the thread that waits for it."""
    never, ended = threading.Event(), threading.Event()

    def words() -> Iterator[str]:
        never.wait(20)
        yield "Too late."

    with BarkClient(triton.url) as client, client.stream(words()) as stream:

        def read() -> None:
            with pytest.raises(RequestCancelled):
                next(stream)
            ended.set()

        threading.Thread(target=read, daemon=True).start()
        stream.cancel()
        assert ended.wait(5)
        never.set()


def test_a_caller_who_waits_for_a_moment_only_can_ask_again(triton: FakeTriton) -> None:
    """The stream had ended for him, as if all was spoken."""
    goes_on = asyncio.Event()

    async def words() -> AsyncIterator[str]:
        await goes_on.wait()
        yield "Just in time."

    async def run() -> None:
        async with AsyncBarkClient(triton.url) as client, client.stream(words()) as stream:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), timeout=0.05)
            goes_on.set()
            assert len([chunk async for chunk in stream]) == 1

    asyncio.run(run())


def test_a_task_that_is_cancelled_from_outside_does_not_leave_the_caller_waiting(triton: FakeTriton) -> None:
    async def words() -> AsyncIterator[str]:
        await asyncio.sleep(20)
        yield "Too late."

    async def run() -> None:
        async with AsyncBarkClient(triton.url) as client:
            before = asyncio.all_tasks()
            async with client.stream(words()) as stream:
                (speaking,) = asyncio.all_tasks() - before
                reading = asyncio.create_task(anext(stream))
                await asyncio.sleep(0)
                speaking.cancel()
                async with asyncio.timeout(5):
                    with pytest.raises(RequestCancelled):
                        await reading

    asyncio.run(run())
