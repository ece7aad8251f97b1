"""How requests end before their time: streams that are left or cancelled, clients that are closed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from bark_client import AsyncBarkClient, BarkClient, InvalidRequest, RequestCancelled, ServerError
from bark_client.connection import Connection
from bark_client.exchange import Exchange, Limits
from bark_client.protocol import speech_request
from bark_client.request_stream import RequestStream
from tests.client.asking import error_of
from tests.client.fake_triton import FakeTriton, abort, free_port, hang, linger_after_final, say_error


def test_leaving_a_stream_early_cancels_it_on_the_server(client: Any, triton: FakeTriton) -> None:
    triton.plan.append(hang(after_chunks=1))
    start = time.monotonic()
    with client.stream("Hello.") as stream:
        next(stream)
    assert triton.cancelled.acquire(timeout=3)
    assert time.monotonic() - start < 2


def test_an_exception_of_the_caller_cancels_the_stream_and_passes_through(client: Any, triton: FakeTriton) -> None:
    triton.plan.append(hang(after_chunks=1))
    with pytest.raises(ZeroDivisionError), client.stream("Hello.") as stream:
        next(stream)
        _ = 1 / 0
    assert triton.cancelled.acquire(timeout=3)


def test_a_stream_that_is_about_to_end_is_not_cancelled(client: Any, triton: FakeTriton) -> None:
    """Once the last answer has arrived, the server ends the stream by itself."""
    triton.plan.extend([say_error("[INVALID_ARGUMENT] no such voice", linger=0.3), linger_after_final(0.3)])
    with pytest.raises(InvalidRequest):
        client.speak("Hello.")
    client.speak("Hello.")
    triton.plan.append(linger_after_final(0.3))
    with client.stream("Hello.") as stream:
        assert next(stream).last
    assert not triton.cancelled.acquire(timeout=0.1)


def test_a_stream_that_does_not_end_after_an_error_is_cancelled(client: Any, triton: FakeTriton) -> None:
    triton.plan.append(say_error("[INTERNAL] a stage failed", linger=30))
    start = time.monotonic()
    with pytest.raises(ServerError, match="a stage failed"):
        client.speak("Hello.")
    assert time.monotonic() - start < 5
    assert triton.cancelled.acquire(timeout=3)


def test_closing_the_client_ends_a_stream_in_another_thread(triton: FakeTriton) -> None:
    triton.plan.append(hang(after_chunks=1))
    client = BarkClient(triton.url)
    with client.stream("Hello.") as stream:
        next(stream)
        threading.Timer(0.2, client.close).start()
        with pytest.raises(RequestCancelled):
            next(stream)
    assert triton.cancelled.acquire(timeout=3)


def test_closing_the_client_ends_the_wait_for_a_server() -> None:
    client = BarkClient(f"127.0.0.1:{free_port()}", connect_timeout=30)
    threading.Timer(0.3, client.close).start()
    start = time.monotonic()
    with pytest.raises(RequestCancelled):
        client.speak("Hello.")
    assert time.monotonic() - start < 3


def test_a_closed_client_says_so(triton: FakeTriton) -> None:
    client = BarkClient(triton.url)
    client.close()
    with pytest.raises(RequestCancelled, match="closed"):
        client.speak("Hello.")
    with pytest.raises(RequestCancelled, match="closed"):
        client.voices()

    async def later() -> None:
        closed = AsyncBarkClient(triton.url)
        await closed.close()
        with pytest.raises(RequestCancelled, match="closed"):
            await closed.speak("Hello.")

    asyncio.run(later())


def test_cancelling_an_asyncio_task_cancels_the_request_on_the_server(triton: FakeTriton) -> None:
    triton.plan.append(hang(after_chunks=1))

    async def main() -> None:
        async with AsyncBarkClient(triton.url) as client:
            task = asyncio.create_task(client.speak("Hello."))
            while not triton.requests:
                await asyncio.sleep(0.01)  # the server's thread has no event for this loop
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    assert triton.cancelled.acquire(timeout=3)


def test_closing_an_async_client_ends_its_streams(triton: FakeTriton) -> None:
    triton.plan.append(hang(after_chunks=1))

    async def main() -> None:
        client = AsyncBarkClient(triton.url)
        async with client.stream("Hello.") as stream:
            await anext(stream)
            asyncio.get_running_loop().call_later(0.2, lambda: asyncio.ensure_future(client.close()))
            with pytest.raises(RequestCancelled):
                await anext(stream)

    asyncio.run(main())
    assert triton.cancelled.acquire(timeout=3)


def test_closing_an_async_client_ends_its_calls_with_an_error(triton: FakeTriton) -> None:
    """gRPC cancels them with asyncio's CancelledError, which a task group takes for a task that somebody cancelled."""
    triton.hang_unary.set()

    async def main() -> None:
        client = AsyncBarkClient(triton.url)
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                group.create_task(client.voices())
                while not triton.unary_calls:
                    await asyncio.sleep(0.01)  # the server's thread has no event for this loop
                await client.close()
        assert isinstance(caught.value.exceptions[0], RequestCancelled)

    asyncio.run(main())


def test_a_stream_says_once_more_that_its_client_was_closed_between_tries() -> None:
    client = BarkClient(f"127.0.0.1:{free_port()}", connect_timeout=60)
    with client.stream("Hello.", answer_timeout=60) as stream:
        threading.Timer(0.3, client.close).start()
        start = time.monotonic()
        first, again = error_of(stream), error_of(stream)
    assert isinstance(first, RequestCancelled) and again is first
    assert time.monotonic() - start < 5


def test_closing_an_async_client_ends_its_wait_for_a_server() -> None:
    async def main() -> None:
        client = AsyncBarkClient(f"127.0.0.1:{free_port()}", connect_timeout=30)
        waiting = asyncio.create_task(client.voices())
        await asyncio.sleep(0.3)  # some tries
        await client.close()
        with pytest.raises(RequestCancelled):
            await waiting

    asyncio.run(main())


def test_cancelling_a_task_in_an_async_call_stays_a_cancellation(triton: FakeTriton) -> None:
    triton.hang_unary.set()

    async def main() -> None:
        async with AsyncBarkClient(triton.url) as client:
            waiting = asyncio.create_task(client.voices())
            while not triton.unary_calls:
                await asyncio.sleep(0.01)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    asyncio.run(main())


def test_a_stream_cancelled_between_tries_is_not_sent_again(connect: Callable[..., Any], triton: FakeTriton) -> None:
    triton.plan.extend([abort(grpc.StatusCode.UNAVAILABLE)] * 100)
    with connect(triton.url, connect_timeout=30).stream("Hello.") as stream:
        threading.Timer(0.5, stream.cancel).start()
        with pytest.raises(RequestCancelled, match="cancelled before"):
            next(stream)
    sent = len(triton.requests)
    assert 2 <= sent < 20


def test_no_thread_reads_on_once_a_stream_is_left(triton: FakeTriton) -> None:
    """One that ran on while Python exits could make the exit wait for ever."""
    triton.plan.extend([hang(after_chunks=1), abort(grpc.StatusCode.INTERNAL), say_error("[INTERNAL] it fell")])
    with BarkClient(triton.url) as client:
        with client.stream("Hello.") as stream:
            next(stream)
            assert readers() == 1
        assert readers() == 0
        for _ in range(2):
            with pytest.raises(ServerError):
                client.speak("Hello.")
            assert readers() == 0


def readers() -> int:
    return sum(thread.name == "bark-stream" for thread in threading.enumerate())


def test_an_error_that_nobody_expects_in_the_thread_that_reads_reaches_the_caller(triton: FakeTriton) -> None:
    class Broken:
        """A call whose answers can't be read."""

        def __iter__(self) -> Any:
            raise ZeroDivisionError

        def cancel(self) -> None: ...

    connection = Connection(triton.url, Limits())
    exchange = Exchange(speech_request("Hello."), text="Hello.", limits=Limits(), url=triton.url)
    stub = SimpleNamespace(ModelStreamInfer=lambda *_, **__: Broken())
    closed = threading.Event()
    with (
        pytest.raises(ZeroDivisionError),
        RequestStream(exchange, connection=connection, stub=stub, closed=closed) as stream,  # type: ignore[arg-type]
    ):
        assert isinstance(error_of(stream), ZeroDivisionError)
        next(stream)
