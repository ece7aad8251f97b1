"""One request of the asyncio client: the twin of `request_stream`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import grpc
from tritonclient.grpc import service_pb2_grpc

from bark_client.connection import Connection
from bark_client.errors import BarkError, ServerUnavailable
from bark_client.exchange import END_GRACE_S, Exchange, cancelled_error
from bark_client.speech import Chunk
from bark_client.stream import MODEL_READY, AsyncSpeechStream, RequestBase


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
        self._reading: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> Self:
        self._send(self._stub())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._leave()

    async def __anext__(self) -> Chunk:
        if self._call is None:
            raise RuntimeError("enter the stream first: `async with client.stream(…) as stream:`")
        with self._exchange.asking():
            chunk = await self._next()
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def _next(self) -> Chunk | None:
        """See `RequestStream._next`."""
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
        return None

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
            self._reading = None

    async def _receive(self) -> Chunk | None:
        if self._reading is None:  # gRPC cancels a call whose reading is cancelled, so it goes on in a task of its own
            self._reading = asyncio.ensure_future(_read(self._call))
        if not (await asyncio.wait({self._reading}, timeout=self._exchange.wait()))[0]:
            await self._look()
            return None
        answer, self._reading = self._reading.result(), None
        if isinstance(answer, grpc.RpcError):
            raise self._connection.error(answer)
        if isinstance(answer, asyncio.CancelledError):
            raise cancelled_error()
        if answer is grpc.aio.EOF:
            self._exchange.ended()
            return None
        return self._exchange.receive(answer)

    async def _look(self) -> None:
        """See `RequestStream._look`."""
        seconds = self._exchange.look_timeout()
        try:
            call = self._stub().ModelReady(MODEL_READY, timeout=seconds, metadata=self._connection.metadata)
            self._exchange.silence.looked(ready=(await call).ready)
        except (grpc.RpcError, ServerUnavailable, grpc.aio.UsageError) as error:
            if self._reading is not None and self._reading.done():  # it came meanwhile, and says more
                return
            raise self._lost(error) from None
        except asyncio.CancelledError:  # gRPC raises it also when the client is closed
            if is_cancelled(asyncio.current_task()):
                raise


async def _read(call: Any) -> Any:
    """The next answer of a call, or the error that ended it. gRPC raises CancelledError if the call was cancelled."""
    try:
        return await call.read()
    except (grpc.RpcError, asyncio.CancelledError) as error:
        return error


def is_cancelled(task: asyncio.Task[Any] | None) -> bool:
    """Whether this task is being cancelled. gRPC raises CancelledError also when only its call was cancelled."""
    return task is not None and task.cancelling() > 0
