"""The client for asyncio: the same requests, answers and errors as `BarkClient`, awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Self, Unpack, cast

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from bark_client import protocol
from bark_client.aio_long_stream import AsyncLongStream
from bark_client.aio_request_stream import AsyncRequestStream, is_cancelled
from bark_client.client import BarkClient
from bark_client.connection import CANARY_OPTIONS, CANARY_TEXT, CANARY_TIMEOUT_S, DEFAULT_URL, Connection, closed_error
from bark_client.errors import BarkError, RequestTimeout
from bark_client.exchange import Exchange, Limits, Retries
from bark_client.long_text import gather_async, is_long
from bark_client.protocol import SpeakOptions
from bark_client.script import Script
from bark_client.silence import Silence
from bark_client.speech import Health, Speech
from bark_client.stream import AsyncSpeechStream, with_arguments_of
from bark_client.voice import VoiceLike
from bark_client.voice_calls import Call, T
from bark_client.voice_methods import AsyncVoiceMethods

_LIVE = service_pb2.ServerLiveRequest()


class AsyncBarkClient(AsyncVoiceMethods):
    """`BarkClient` for asyncio: one event loop, any number of requests at once.

    >>> async with AsyncBarkClient() as bark:
    ...     one, two = await asyncio.gather(bark.speak("One."), bark.speak("Two."))

    The arguments are those of `BarkClient`.
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
        keep_audio: bool = True,
    ) -> None:
        self._keep_audio = keep_audio
        limits = Limits(total=timeout, answer=answer_timeout, connect=connect_timeout)
        self._connection = Connection(url, limits, credentials, headers)
        self._channel: grpc.aio.Channel | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection. Requests that are still running end with RequestCancelled."""
        self._closed = True
        if self._channel is not None:
            await self._channel.close()

    @with_arguments_of(BarkClient.speak)
    async def speak(
        self,
        text: str | Iterable[str] | AsyncIterable[str],
        *,
        voice: VoiceLike | None = None,
        seed: int | None = None,
        timeout: float | None = None,
        answer_timeout: float | None = None,
        **options: Unpack[SpeakOptions],
    ) -> Speech:
        """Speak `text` and return when all of it is there. Cancelling the task cancels the request on the server.

        >>> speech = await bark.speak("Good morning.", voice="joe", seed=1)
        """
        limits = self._connection.limits.overridden(total=timeout, answer=answer_timeout)
        async with self._stream(text, voice=voice, seed=seed, limits=limits, options=options, keep=True) as stream:
            async for _ in stream:
                pass
            return stream.speech

    @with_arguments_of(BarkClient.speak)
    def stream(
        self,
        text: str | Iterable[str] | AsyncIterable[str],
        *,
        voice: VoiceLike | None = None,
        seed: int | None = None,
        timeout: float | None = None,
        answer_timeout: float | None = None,
        **options: Unpack[SpeakOptions],
    ) -> AsyncSpeechStream:
        """Speak `text` and yield its audio in chunks, as soon as each is made.

        Leaving the `async with` block early cancels the request, here and on the server.

        >>> async with bark.stream("A long story …") as stream:
        ...     async for chunk in stream:
        ...         player.write(chunk.samples)
        >>> stream.speech.save("story.flac")

        The text may be an iterable of fragments, or an asynchronous one, as in `BarkClient.stream`. An iterable that is
        not asynchronous must not make the event loop wait.
        """
        limits = self._connection.limits.overridden(total=timeout, answer=answer_timeout)
        return self._stream(text, voice=voice, seed=seed, limits=limits, options=options, keep=False)

    def _stream(
        self,
        text: str | Iterable[str] | AsyncIterable[str],
        *,
        voice: VoiceLike | None,
        seed: int | None,
        limits: Limits,
        options: SpeakOptions,
        keep: bool,
    ) -> AsyncSpeechStream:
        """A stream of one request, or of several. `keep`: keep the audio of several requests, too."""
        if not is_long(text):
            keep = keep or self._keep_audio
            return self._request(cast(str, text), voice=voice, seed=seed, limits=limits, options=options, keep=keep)
        script = Script(voice=voice, seed=seed, options=options)
        request = partial(self._request, limits=limits)
        return AsyncLongStream(request, gather_async(text), script=script, keep=keep)

    def _request(
        self,
        text: str,
        *,
        voice: VoiceLike | None,
        seed: int | None,
        limits: Limits,
        options: SpeakOptions,
        keep: bool = False,
    ) -> AsyncRequestStream:
        request = protocol.speech_request(text, voice=voice, seed=seed, options=options)
        return AsyncRequestStream(
            Exchange(request, text=text, limits=limits, url=self._connection.url, keep=keep),
            connection=self._connection,
            stub=self._stub,
        )

    async def health(self, *, deep: bool = False, timeout: float | None = None) -> Health:
        """See `BarkClient.health`."""
        metadata, ready, canary, busy, problem = None, False, None, False, ""
        seconds = timeout or self._connection.limits.connect
        try:
            stub = self._stub()
            metadata = await self._once(stub.ServerMetadata, service_pb2.ServerMetadataRequest(), timeout=seconds)
            model = service_pb2.ModelReadyRequest(name=protocol.MODEL)
            ready = (await self._once(stub.ModelReady, model, timeout=seconds)).ready
            server = await self._once(stub.ServerReady, service_pb2.ServerReadyRequest(), timeout=seconds)
            ready = ready and server.ready
            if deep and ready:
                before, start = await self._decoded(), time.monotonic()
                try:
                    limits = self._connection.limits.overridden(total=timeout or CANARY_TIMEOUT_S)
                    word = self._request(CANARY_TEXT, voice=None, seed=0, limits=limits, options=CANARY_OPTIONS)
                    async with word.as_check() as chunks:
                        async for _ in chunks:
                            pass
                    canary = time.monotonic() - start
                except RequestTimeout:
                    busy = await self._decoded() > before
                    if not busy:
                        raise
        except BarkError as error:
            problem = str(error)
        return self._connection.health(metadata=metadata, ready=ready, canary=canary, busy=busy, problem=problem)

    async def _decoded(self) -> int:
        """See `BarkClient._decoded`."""
        request = protocol.decoder_statistics()
        answer = await self._once(self._stub().ModelStatistics, request, timeout=self._connection.limits.connect)
        return protocol.inference_count(answer)

    def _stub(self) -> service_pb2_grpc.GRPCInferenceServiceStub:
        """The channel is made on first use, because it belongs to the event loop that runs then."""
        if self._closed:
            raise closed_error()
        if self._channel is None:
            url, credentials = self._connection.url, self._connection.credentials
            options = self._connection.channel_options
            self._channel = (
                grpc.aio.insecure_channel(url, options=options)
                if credentials is None
                else grpc.aio.secure_channel(url, credentials, options=options)
            )
        return service_pb2_grpc.GRPCInferenceServiceStub(self._channel)

    async def _infer(self, call: Call[T]) -> T:
        if call.repeatable:
            return call.parse(await self._call(self._stub().ModelInfer, call.request))
        # A call that changes something is sent once, on a connection that is known to work.
        await self._call(self._stub().ServerLive, _LIVE)
        limits = self._connection.limits
        answer = await self._once(self._stub().ModelInfer, call.request, timeout=limits.total or limits.answer)
        return call.parse(answer)

    async def _call(self, method: Callable[..., Any], request: Any) -> Any:
        """See `BarkClient._call`."""
        limits = self._connection.limits
        retries = Retries(limits)
        while True:
            try:
                return await self._once(method, request, timeout=limits.total or limits.answer)
            except BarkError as error:
                await asyncio.sleep(retries.delay(error))

    async def _once(self, method: Callable[..., Any], request: Any, *, timeout: float | None) -> Any:
        """See `BarkClient._once`."""
        metadata, silence = self._connection.metadata, Silence(url=self._connection.url, timeout=timeout)
        try:
            call = asyncio.ensure_future(_answer(method(request, timeout=timeout, metadata=metadata)))
            try:
                while not (await asyncio.wait({call}, timeout=silence.wait()))[0]:
                    await self._look(silence)
                return call.result()
            finally:
                call.cancel()
        except grpc.RpcError as error:
            raise self._connection.error(error) from None
        except asyncio.CancelledError:
            if not self._closed or is_cancelled(asyncio.current_task()):
                raise
            raise closed_error() from None
        except grpc.aio.UsageError:  # the channel was closed between two attempts
            raise closed_error() from None

    async def _look(self, silence: Silence) -> None:
        """See `BarkClient._look`."""
        seconds = silence.look_seconds()
        try:
            await self._stub().ServerLive(_LIVE, timeout=seconds, metadata=self._connection.metadata)
        except grpc.RpcError as error:
            silence.not_seen(self._connection.error(error), seconds=seconds)
        else:
            silence.looked(ready=True)


async def _answer(call: Any) -> Any:
    return await call
