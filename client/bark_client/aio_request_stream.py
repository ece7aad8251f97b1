"""One request of the asyncio client: the twin of `request_stream`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import grpc
from tritonclient.grpc import service_pb2_grpc

from bark_client.connection import Connection
from bark_client.errors import BarkError
from bark_client.exchange import END_GRACE_S, Exchange, cancelled_error
from bark_client.speech import Chunk
from bark_client.stream import AsyncSpeechStream, RequestBase


class AsyncRequestStream(RequestBase, AsyncSpeechStream):
    """The speech of one request."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        connection: Connection,
        stub: Callable[[], service_pb2_grpc.GRPCInferenceServiceStub],
    ) -> None:
        super().__init__(exchange, connection=connection)
        self._stub = stub

    async def __aenter__(self) -> Self:
        self._send(self._stub())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._leave()

    async def __anext__(self) -> Chunk:
        while not self._exchange.finished:
            try:
                chunk = await self._receive()
            except BarkError as error:
                await self._leave()
                delay = self._exchange.failed(error)
                if delay is not None:
                    await asyncio.sleep(delay)
                    self._send(self._stub())
                continue
            if chunk is not None:
                return chunk
        raise StopAsyncIteration

    async def _leave(self) -> None:
        """See `RequestStream._leave`."""
        try:
            if self._exchange.settled and self._call is not None:
                async with asyncio.timeout(END_GRACE_S):
                    while await self._call.read() is not grpc.aio.EOF:
                        continue
        except (TimeoutError, grpc.RpcError):
            return
        except asyncio.CancelledError:
            if is_cancelled(asyncio.current_task()):
                raise
        finally:
            self._cancel_call()

    async def _receive(self) -> Chunk | None:
        if self._call is None:
            raise RuntimeError("enter the stream first: `async with client.stream(…) as stream:`")
        try:
            async with asyncio.timeout(self._exchange.answer_wait()):
                answer = await self._call.read()
        except TimeoutError:
            raise self._exchange.timed_out() from None
        except grpc.RpcError as error:
            raise self._connection.error(error) from None
        except asyncio.CancelledError:
            # gRPC raises this also where the call, not this task, was cancelled: by close(), or by the server.
            if not self._call.cancelled() or is_cancelled(asyncio.current_task()):
                raise
            raise cancelled_error() from None
        if answer is grpc.aio.EOF:
            self._exchange.ended()
            return None
        return self._exchange.receive(answer)


def is_cancelled(task: asyncio.Task[Any] | None) -> bool:
    """Whether this task is being cancelled. gRPC raises CancelledError also when only its call was cancelled."""
    return task is not None and task.cancelling() > 0
