"""A long text by the asyncio client: the twin of `long_stream`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from types import TracebackType
from typing import Self

from bark_client.aio_request_stream import AsyncRequestStream
from bark_client.exchange import cancelled_error
from bark_client.long_text import Passage
from bark_client.script import REQUESTS_AT_ONCE, Event, Finished, LongState, Script
from bark_client.speech import Chunk
from bark_client.stream import AsyncSpeechStream


class AsyncLongStream(LongState, AsyncSpeechStream):
    """Speaks passages one after the other. A task does what the thread of `LongStream` does."""

    def __init__(
        self,
        request: Callable[..., AsyncRequestStream],
        passages: AsyncGenerator[Passage, None],
        *,
        script: Script,
        keep: bool = False,
    ) -> None:
        super().__init__(script, keep=keep)
        self._request, self._passages = request, passages
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self._permits = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cancel()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def __anext__(self) -> Chunk:
        while (event := await self._next()) is not None:
            if isinstance(event, Chunk):
                return event
        raise StopAsyncIteration

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._queue.put_nowait(cancelled_error())  # at once, also where the task takes long to end

    async def _next(self) -> Chunk | Finished | None:
        """See `LongStream._next`."""
        if self._task is None:
            raise RuntimeError("enter the stream first: `async with client.stream(…) as stream:`")
        if self._is_over():
            return None
        event = await self._queue.get()
        if isinstance(event, Finished):
            self._permits.release()
        return self._take(event)

    async def _run(self) -> None:
        """In the task: all requests, to the queue; then None, or the error that ended them."""
        try:
            async with aclosing(self._passages) as passages:
                async for passage in passages:
                    await self._permits.acquire()
                    self._queue.put_nowait(await self._spoken(passage))
            self._script.ended()
            self._queue.put_nowait(None)
        except asyncio.CancelledError:
            self._queue.put_nowait(cancelled_error())  # the caller would else wait for ever
            raise
        except Exception as error:  # noqa: BLE001 - the caller's task raises it
            self._queue.put_nowait(error)

    async def _spoken(self, passage: Passage) -> Finished:
        async with self._request(self._script.text(passage), **self._script.arguments()) as stream:
            async for chunk in stream:
                self._queue.put_nowait((chunk, passage))
        return self._script.finished(passage, stream.summary, stream.tokens)
