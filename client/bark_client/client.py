"""The client for ordinary, threaded Python."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self, Unpack

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from bark_client import protocol
from bark_client.connection import CANARY_OPTIONS, CANARY_TEXT, CANARY_TIMEOUT, DEFAULT_URL, Connection, closed_error
from bark_client.errors import BarkError, RequestTimeout
from bark_client.exchange import END_GRACE, Exchange, Limits, Retries, cancelled_error
from bark_client.protocol import SpeakOptions
from bark_client.speech import Chunk, Health, Speech
from bark_client.voice import VoiceLike
from bark_client.voice_calls import Call, T
from bark_client.voice_methods import VoiceMethods


class BarkClient(VoiceMethods):
    """A server that speaks. Thread-safe: one client serves any number of requests at once.

    >>> with BarkClient("localhost:8001") as bark:
    ...     bark.speak("Hello there.", voice="v2/en_speaker_6").save("hello.wav")

    Args:
        url: host:port of Triton's gRPC endpoint.
        timeout: seconds a request may take in all; None (the default) for as long as it takes.
        answer_timeout: seconds without any answer after which the server is given up; None for ever.
        connect_timeout: seconds to keep trying a server that can't be reached.
        credentials: for TLS, `grpc.ssl_channel_credentials(...)`; None for an unencrypted connection.
        headers: metadata to send along with each request, for a gateway in front of the server.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout: float | None = None,
        answer_timeout: float | None = 300.0,
        connect_timeout: float = 5.0,
        credentials: grpc.ChannelCredentials | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        limits = Limits(total=timeout, answer=answer_timeout, connect=connect_timeout)
        self._connection = Connection(url, limits, credentials, headers)
        options = self._connection.channel_options
        self._channel = (
            grpc.insecure_channel(url, options=options)
            if credentials is None
            else grpc.secure_channel(url, credentials, options=options)
        )
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; requests under way end with RequestCancelled."""
        self._closed.set()
        self._channel.close()

    def speak(
        self,
        text: str,
        *,
        voice: VoiceLike | None = None,
        seed: int | None = None,
        timeout: float | None = None,
        answer_timeout: float | None = None,
        **options: Unpack[SpeakOptions],
    ) -> Speech:
        """Speak `text` and return when all of it is there. For the options see `SpeakOptions`.

        `voice` is a name (`voices()` lists them), a `Voice`, a mapping of its three arrays, or the path of an `.npz`;
        `timeout` and `answer_timeout` replace the client's own for this request.
        """
        with self.stream(
            text, voice=voice, seed=seed, timeout=timeout, answer_timeout=answer_timeout, **options
        ) as stream:
            for _ in stream:
                pass
            return stream.speech

    def stream(
        self,
        text: str,
        *,
        voice: VoiceLike | None = None,
        seed: int | None = None,
        timeout: float | None = None,
        answer_timeout: float | None = None,
        **options: Unpack[SpeakOptions],
    ) -> SpeechStream:
        """Like `speak`, chunk by chunk as they are made. Leaving the `with` block early cancels the rest.

        >>> with bark.stream("A long story …") as stream:
        ...     for chunk in stream:
        ...         player.write(chunk.samples)
        >>> stream.speech.save("story.flac")
        """
        request = protocol.speech_request(text, voice=voice, seed=seed, options=options)
        limits = self._connection.limits.overridden(total=timeout, answer=answer_timeout)
        return SpeechStream(
            Exchange(request, text=text, limits=limits, url=self._connection.url),
            stub=self._stub,
            connection=self._connection,
            closed=self._closed,
        )

    def health(self, *, deep: bool = False, timeout: float | None = None) -> Health:
        """What the server can do now; never raises for what is wrong with it, but says so in the result.

        `deep` really speaks a word: a server can call itself ready while the process behind a model is dead. Where the
        word's turn does not come within `timeout` (default 2 minutes), others' speech, made meanwhile, counts as well.
        """
        metadata, ready, canary, busy, problem = None, False, None, False, ""
        seconds = timeout or self._connection.limits.connect
        try:
            metadata = self._once(self._stub.ServerMetadata, service_pb2.ServerMetadataRequest(), timeout=seconds)
            ready = self._once(
                self._stub.ModelReady, service_pb2.ModelReadyRequest(name=protocol.MODEL), timeout=seconds
            ).ready
            if deep and ready:
                before, start = self._made(), time.monotonic()
                try:
                    self.speak(CANARY_TEXT, seed=0, timeout=timeout or CANARY_TIMEOUT, **CANARY_OPTIONS)
                    canary = time.monotonic() - start
                except RequestTimeout:
                    busy = self._made() > before
                    if not busy:
                        raise
        except BarkError as error:
            problem = str(error)
        return self._connection.health(metadata=metadata, ready=ready, canary=canary, busy=busy, problem=problem)

    def _made(self) -> int:
        """Pieces of audio that the server has made so far."""
        request = protocol.decoder_statistics()
        answer = self._once(self._stub.ModelStatistics, request, timeout=self._connection.limits.connect)
        return protocol.inference_count(answer)

    def _infer(self, call: Call[T]) -> T:
        if call.repeatable:
            return call.parse(self._call(self._stub.ModelInfer, call.request))
        self._call(self._stub.ServerLive, service_pb2.ServerLiveRequest())  # be sure of the connection, then send once
        limits = self._connection.limits
        return call.parse(self._once(self._stub.ModelInfer, call.request, timeout=limits.total or limits.answer))

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        """A unary call that has no effect, so may be repeated until the server can be reached."""
        limits = self._connection.limits
        retries = Retries(limits)
        while True:
            try:
                return self._once(method, request, timeout=limits.total or limits.answer)
            except BarkError as error:
                _pause(retries.delay(error), self._closed)

    def _once(self, method: Callable[..., Any], request: Any, *, timeout: float | None) -> Any:
        try:
            return method(request, timeout=timeout, metadata=self._connection.metadata)
        except grpc.RpcError as error:
            raise self._connection.error(error) from None
        except ValueError:  # gRPC's way to say that the channel is closed
            raise closed_error() from None


class SpeechStream:
    """Chunks as they come, in a `with` block; `.speech` is the whole once they have all come."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        stub: service_pb2_grpc.GRPCInferenceServiceStub,
        connection: Connection,
        closed: threading.Event,
    ) -> None:
        self._exchange, self._stub, self._connection, self._closed = exchange, stub, connection, closed
        self._call: Any = None
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._pump: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        while not self._exchange.finished:
            try:
                chunk = self._receive()
            except BarkError as error:
                self._leave()
                delay = self._exchange.failed(error)
                if delay is not None:
                    _pause(delay, self._closed)
                    self._open()
                continue
            if chunk is not None:
                return chunk
        raise StopIteration

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """What has come so far, also after an error."""
        return tuple(self._exchange.chunks)

    @property
    def speech(self) -> Speech:
        """The whole. InvalidRequest as long as chunks are outstanding."""
        return self._exchange.speech()

    def cancel(self) -> None:
        """Stop the request here and on the server. Harmless when it has ended."""
        self._exchange.cancelled = True
        self._hang_up()

    def _leave(self) -> None:
        """Let a stream end that is about to, and cancel any other: where both meet, Triton 24.10 crashes or leaks."""
        if self._exchange.settled and self._pump is not None:
            self._pump.join(END_GRACE)
        self._hang_up()

    def _hang_up(self) -> None:
        if self._call is not None:
            self._call.cancel()

    def _open(self) -> None:
        """Send the request. A thread reads the answers, for gRPC's own iterator knows no timeout an answer."""
        if self._closed.is_set():
            raise closed_error()
        if self._exchange.cancelled:
            raise cancelled_error()
        self._answers = queue.SimpleQueue()
        self._call = self._stub.ModelStreamInfer(
            iter([self._exchange.request]), timeout=self._exchange.time_left(), metadata=self._connection.metadata
        )
        if self._exchange.cancelled:  # meanwhile, by another thread
            self._hang_up()
        self._pump = threading.Thread(target=_pump, args=(self._call, self._answers), name="bark-stream", daemon=True)
        self._pump.start()

    def _receive(self) -> Chunk | None:
        if self._call is None:
            raise RuntimeError("enter the stream first: `with client.stream(…) as stream:`")
        try:
            answer = self._answers.get(timeout=self._exchange.answer_wait())
        except queue.Empty:
            raise self._exchange.timed_out() from None
        if isinstance(answer, grpc.RpcError):
            raise self._connection.error(answer)
        if answer is None:
            self._exchange.ended()
            return None
        return self._exchange.receive(answer)


def _pump(call: Any, answers: queue.SimpleQueue[Any]) -> None:
    """Move answers from a call to a queue; None for its end, the error for a bad one."""
    try:
        for answer in call:
            answers.put(answer)
        answers.put(None)
    except grpc.RpcError as error:
        answers.put(error)


def _pause(seconds: float, closed: threading.Event) -> None:
    if closed.wait(seconds):
        raise closed_error()
