"""One request of the threaded client: send it, read its answers, send it again where that is right."""

from __future__ import annotations

import queue
import threading
from types import TracebackType
from typing import Any, Self

import grpc
from tritonclient.grpc import service_pb2_grpc

from bark_client.connection import Connection, closed_error
from bark_client.errors import BarkError, ServerUnavailable
from bark_client.exchange import END_GRACE_S, Exchange
from bark_client.speech import Chunk
from bark_client.stream import MODEL_READY, RequestBase, SpeechStream


class RequestStream(RequestBase, SpeechStream):
    """The speech of one request."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        connection: Connection,
        stub: service_pb2_grpc.GRPCInferenceServiceStub,
        closed: threading.Event,
    ) -> None:
        super().__init__(exchange, connection=connection)
        self._stub, self._closed = stub, closed
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()

    def __next__(self) -> Chunk:
        if self._call is None:
            raise RuntimeError("enter the stream first: `with client.stream(…) as stream:`")
        with self._exchange.asking():
            chunk = self._next()
        if chunk is None:
            raise StopIteration
        return chunk

    def _next(self) -> Chunk | None:
        """The next chunk; None at the end."""
        while not self._exchange.finished:
            try:
                chunk = self._receive()
            except BarkError as error:
                self._leave()
                delay = self._exchange.failed(error)
                if delay is not None:
                    pause(delay, self._closed)
                    self._open()
                continue
            if chunk is not None:
                return chunk
        return None

    def _leave(self) -> None:
        """Give a stream whose last answer has arrived `END_GRACE_S` to end by itself. Cancel any other stream.

        The thread that reads ends with it. If it ran on while Python exits, the exit could wait for a lock that it
        holds.
        """
        if self._exchange.settled and self._reader is not None:
            self._reader.join(END_GRACE_S)
        self._cancel_call()
        if self._reader is not None:
            self._reader.join(END_GRACE_S)

    def _open(self) -> None:
        """Send the request. A thread reads the answers, because gRPC's iterator has no timeout per answer."""
        if self._closed.is_set():
            raise closed_error()
        self._send(self._stub)
        self._answers = queue.SimpleQueue()
        self._reader = threading.Thread(
            target=_read_into, args=(self._answers, self._call), name="bark-stream", daemon=True
        )
        self._reader.start()

    def _receive(self) -> Chunk | None:
        try:
            answer = self._answers.get(timeout=self._exchange.wait())
        except queue.Empty:
            self._look()
            return None
        if isinstance(answer, grpc.RpcError):
            raise self._connection.error(answer)
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            self._exchange.ended()
            return None
        return self._exchange.receive(answer)

    def _look(self) -> None:
        """Look at a silent server. Raises ServerUnavailable if no answer can come, RequestTimeout if it is too late."""
        seconds = self._exchange.look_timeout()
        try:
            ready = self._stub.ModelReady(MODEL_READY, timeout=seconds, metadata=self._connection.metadata).ready
            self._exchange.silence.looked(ready=ready)
        except (grpc.RpcError, ServerUnavailable, ValueError) as error:
            if not self._answers.empty():  # it came meanwhile, and says more
                return
            raise self._lost(error) from None


def _read_into(answers: queue.SimpleQueue[Any], call: Any) -> None:
    """Move the answers of a call to a queue, then None, or the error that ended it."""
    try:
        for answer in call:
            answers.put(answer)
        answers.put(None)
    except Exception as error:  # noqa: BLE001 - the caller's thread raises it, and would else wait for ever
        answers.put(error)


def pause(seconds: float, closed: threading.Event) -> None:
    """Wait, but not for a client that is closed: then raise."""
    if closed.wait(seconds):
        raise closed_error()
