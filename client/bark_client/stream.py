"""What the streams of both clients have in common, and their shared docstrings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from inspect import cleandoc
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from bark_client.connection import Connection, closed_error
from bark_client.errors import BarkError
from bark_client.exchange import Exchange, cancelled_error
from bark_client.protocol import CHECK_ID, MODEL
from bark_client.speech import Chunk, Speech, Summary
from bark_client.voice import Voice

MODEL_READY: Final = service_pb2.ModelReadyRequest(name=MODEL)

F = TypeVar("F", bound=Callable[..., Any])


class StreamState(ABC):
    """What a stream knows while it runs and after it."""

    @property
    @abstractmethod
    def chunks(self) -> tuple[Chunk, ...]:
        """The chunks received so far. They stay readable after an error. Raises InvalidRequest for a long text."""

    @property
    @abstractmethod
    def speech(self) -> Speech:
        """The whole speech. Raises InvalidRequest until the last chunk was read, and for a long text.

        A long text comes in fragments, or has more than 20 000 characters. Its audio is not kept, so that memory does
        not grow. Write the chunks as they come, or call `speak`, which does keep it.
        """

    @property
    @abstractmethod
    def summary(self) -> Summary:
        """What was spoken so far, without the audio: its seconds, seed, timings, pieces and warnings.

        All but the seconds and the pieces is known once a request is finished. A long text takes several.
        """

    @abstractmethod
    def cancel(self) -> None:
        """Stop the request here and on the server. Does nothing once it has ended."""


class SpeechStream(StreamState):
    """Iterates over the chunks of a speech as they arrive, in a `with` block. `.speech` is the whole, at the end."""

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def __iter__(self) -> Iterator[Chunk]:
        return self

    @abstractmethod
    def __next__(self) -> Chunk: ...


class AsyncSpeechStream(StreamState):
    """`SpeechStream` for asyncio: `async with` and `async for`."""

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    @abstractmethod
    async def __anext__(self) -> Chunk: ...


class RequestBase(StreamState):
    """A request to speak that is under way. The two clients differ only in how they read its answers."""

    def __init__(self, exchange: Exchange, *, connection: Connection) -> None:
        self._exchange, self._connection = exchange, connection
        self._call: Any = None

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        return tuple(self._exchange.chunks)

    @property
    def speech(self) -> Speech:
        return self._exchange.speech()

    @property
    def summary(self) -> Summary:
        return self._exchange.summary()

    @property
    def tokens(self) -> Voice | None:
        """The generated tokens, at the end, if the request asked for them and there are any."""
        return self._exchange.tokens

    def cancel(self) -> None:
        self._exchange.cancelled = True
        self._cancel_call()

    def as_check(self) -> Self:
        """Mark the request as a check of the server, which keeps it out of the metrics of speech."""
        self._exchange.request.id = CHECK_ID
        return self

    def _cancel_call(self) -> None:
        if self._call is not None:
            self._call.cancel()

    def _lost(self, error: Exception) -> BarkError:
        """Our error for one of a look at the server. gRPC raises a ValueError for a closed channel."""
        if isinstance(error, grpc.RpcError):
            if self._exchange.answer_wait() == 0.0:
                return self._exchange.timed_out()
            return self._exchange.silence.lost(self._connection.error(error))
        return error if isinstance(error, BarkError) else closed_error()

    def _send(self, stub: service_pb2_grpc.GRPCInferenceServiceStub) -> None:
        """Send the request."""
        if self._exchange.cancelled:
            raise cancelled_error()
        self._call = stub.ModelStreamInfer(
            iter([self._exchange.request]), timeout=self._exchange.time_left(), metadata=self._connection.metadata
        )
        if self._exchange.cancelled:  # meanwhile, by another thread
            self._cancel_call()


def with_arguments_of(described: Callable[..., Any]) -> Callable[[F], F]:
    """A decorator that adds to a docstring the `Args:` of another function, which has the same arguments."""

    def add(function: F) -> F:
        if described.__doc__ and function.__doc__:  # `python -OO` drops both
            arguments = cleandoc(described.__doc__).partition("\nArgs:\n")[2]
            function.__doc__ = f"{cleandoc(function.__doc__)}\n\nArgs:\n{arguments}"
        return function

    return add
