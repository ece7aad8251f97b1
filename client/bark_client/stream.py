"""What the streams of both clients have in common, and their shared docstrings."""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc
from typing import Any, Self, TypeVar

from tritonclient.grpc import service_pb2_grpc

from bark_client.connection import Connection
from bark_client.exchange import Exchange, cancelled_error
from bark_client.protocol import CHECK_ID
from bark_client.speech import Chunk, Speech

F = TypeVar("F", bound=Callable[..., Any])


class StreamBase:
    """A request to speak that is under way. The two clients differ only in how they read its answers."""

    def __init__(self, exchange: Exchange, *, connection: Connection) -> None:
        self._exchange, self._connection = exchange, connection
        self._call: Any = None

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """The chunks received so far. They stay readable after an error."""
        return tuple(self._exchange.chunks)

    @property
    def speech(self) -> Speech:
        """The whole speech. Raises InvalidRequest until the last chunk was read."""
        return self._exchange.speech()

    def cancel(self) -> None:
        """Stop the request here and on the server. Does nothing once it has ended."""
        self._exchange.cancelled = True
        self._cancel_call()

    def as_check(self) -> Self:
        """Mark the request as a check of the server, which keeps it out of the metrics of speech."""
        self._exchange.request.id = CHECK_ID
        return self

    def _cancel_call(self) -> None:
        if self._call is not None:
            self._call.cancel()

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
