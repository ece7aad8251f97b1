"""The client for ordinary, threaded Python."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Self, Unpack, cast

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from bark_client import protocol
from bark_client.connection import CANARY_OPTIONS, CANARY_TEXT, CANARY_TIMEOUT_S, DEFAULT_URL, Connection, closed_error
from bark_client.errors import BarkError, InvalidRequest, RequestTimeout
from bark_client.exchange import Exchange, Limits, Retries, cancelled_error
from bark_client.long_stream import LongStream
from bark_client.long_text import Passage, gather, is_long
from bark_client.protocol import SpeakOptions
from bark_client.request_stream import RequestStream, pause
from bark_client.script import Script
from bark_client.silence import Silence
from bark_client.speech import Health, Speech
from bark_client.stream import SpeechStream, with_arguments_of
from bark_client.voice import VoiceLike
from bark_client.voice_calls import Call, T
from bark_client.voice_methods import VoiceMethods

_LIVE = service_pb2.ServerLiveRequest()


class BarkClient(VoiceMethods):
    """A connection to a Bark server. Thread-safe: one client makes any number of requests at once.

    >>> with BarkClient("localhost:8001") as bark:
    ...     bark.speak("Hello there.", voice="joe").save("hello.wav")

    Args:
        url: host:port of Triton's gRPC endpoint.
        timeout: seconds that one request may take in all. None, the default, sets no limit.
        answer_timeout: seconds that the next answer may take before the request fails. None sets no limit.
        connect_timeout: seconds to keep trying to reach the server.
        credentials: for TLS, `grpc.ssl_channel_credentials(...)`. None connects without encryption.
        headers: metadata to send with each request, for a gateway in front of the server.
        keep_audio: False keeps no chunk of a stream once it was read, so that memory does not grow. `stream.speech` and
            `stream.chunks` are then not there.
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
        """Close the connection. Requests that are still running end with RequestCancelled."""
        self._closed.set()
        self._channel.close()

    def speak(
        self,
        text: str | Iterable[str],
        *,
        voice: VoiceLike | None = None,
        seed: int | None = None,
        timeout: float | None = None,
        answer_timeout: float | None = None,
        **options: Unpack[SpeakOptions],
    ) -> Speech:
        """Speak `text` and return when all of it is there.

        >>> speech = bark.speak("Good morning.", voice="joe", seed=1, max_duration=5.0)
        >>> speech.save("morning.wav")

        A *piece* is what Bark speaks in one go: a sentence, some short ones, or a part of a long one.

        An option that is None is not sent. The server's default then applies; it is given below.

        Args:
            text: what to say, in any of the checkpoint's languages; or an iterable of its fragments, such as lines,
                or the words of a language model as they come. A text in fragments, or of over 20 000 characters, takes
                several requests of at most 2 000 characters, one after the other; they end at paragraphs or sentences.
            voice: a name that the server knows (`voices()` lists them), a `Voice`, a mapping of its three arrays, or
                the path of an `.npz` file. The miniature has "joe" and "jo", Bark "v2/en_speaker_0" to
                "v2/en_speaker_9" and as many in each other language. Default: none; Bark then makes up a speaker, a
                different one for each seed. In a text of several requests, what the first piece spoke is the voice of
                all later requests.
            seed: 0 to 2**64 - 1. The same seed, text and options give the same speech. Default: one is chosen;
                `speech.seed` is the seed that was used. Each of several requests has a seed made from this one.
            timeout: seconds that this request, or each of several, may take in all. Default: the client's `timeout`.
            answer_timeout: seconds that the next answer may take. Default: the client's `answer_timeout`.
            language: a tag like "en" or "en-US". The rules of the language split the text into sentences. Default: a
                guess from the text, else the language of the voice.
            markdown: True takes the marks of Markdown away and reads the text that they stand for. Default: True.
            fold_signs: True replaces signs that the tokenizer lacks, as in "don’t", and leaves out emoji, with a
                warning. Default: True.
            spell_numbers: True writes numbers, money, units, times and links as words. Default: the checkpoint's, False
                for Bark, which reads digits.
            speed: "exact" computes what Suno's code computes. "fast" is quicker and sounds a little different: it sets
                `coarse_history`, `coarse_window` and `fine_padding`, except for those given here. Default: "exact".
            latency: "low" streams audio while a piece is still being made. It comes much sooner and sounds a little
                different; all of it takes a little longer. Use it with `speed="fast"`. Default: "normal".
            semantic_temperature: 0 to 10. It changes what is said and how: 0 is greedy, higher is livelier.
                Default: the checkpoint's, 0.7 for Bark.
            coarse_temperature: 0 to 10. It changes how the speech sounds. Default: the checkpoint's, 0.7 for Bark.
            fine_temperature: 0 to 10. It changes the detail of the sound. Default: the checkpoint's, 0.5 for Bark.
            top_k: sample semantic and coarse tokens from the `top_k` most probable ones only. Default: 0, all tokens.
            top_p: above 0, at most 1. Sample semantic and coarse tokens from the smallest set whose probabilities add
                up to `top_p`. Default: 1, all tokens.
            min_eos_p: above 0, at most 1. A piece ends when its end is at least this probable.
                Default: the checkpoint's, 0.2 for Bark.
            coarse_history: coarse tokens that each coarse window continues from. Default: the checkpoint's maximum,
                630 for Bark.
            coarse_window: coarse tokens that each coarse window generates. Default: the checkpoint's, 60 for Bark.
            fine_padding: True pads a short piece to a whole window of the fine stage, as Suno's code does. False is
                faster, and changes the sound a little. Default: True.
            max_duration: seconds of audio that one piece may have; a longer one is cut, with a warning.
                Default: the checkpoint's limit, about 15 s for Bark.
            piece_duration: seconds that the pieces of a long sentence should have, from 1.5. A sentence that is
                expected to take more than 1.6 times as long is cut at its clauses.
                Default: the checkpoint's, 7 for Bark.
            sentence_pause: seconds of silence between two pieces of a paragraph, 0 to 10, beside the pause that the
                speech has itself. Short sentences that are spoken together are one piece. Default: 0.0.
            paragraph_pause: seconds of silence before each paragraph but the first, 0 to 10. Default: 0.3.
            split_sentences: True speaks sentence by sentence; False speaks the text in one piece, cut at
                `max_duration`. Default: True.
            chain_sentences: True lets each piece continue from the one before it; False starts each one from the voice.
                Default: False.
            one_speaker: True speaks all pieces with one speaker where no voice is given: with that of the first one.
                Default: True.
            retries: 0 to 2. How often a piece is spoken again if it does not end by itself, repeats itself, is
                silent, or is far shorter or longer than its text. `speech.pieces` says what happened. Default: 2.
            on_failure: what becomes of a piece that failed every time: "warn" keeps its best take, "skip" leaves it
                out, both with a warning; "error" raises SpeechFailed. Default: "warn".
            return_tokens: True returns the generated tokens too, which `speech.as_voice()` needs. Default: False.

        Raises:
            BarkError: one of its kinds (InvalidRequest, ServerUnavailable, RequestTimeout, RequestCancelled,
                ServerError, SpeechFailed); its message says what to do.
        """
        limits = self._connection.limits.overridden(total=timeout, answer=answer_timeout)
        with self._stream(text, voice=voice, seed=seed, limits=limits, options=options, keep=True) as stream:
            for _ in stream:
                pass
            return stream.speech

    @with_arguments_of(speak)
    def stream(
        self,
        text: str | Iterable[str],
        *,
        voice: VoiceLike | None = None,
        seed: int | None = None,
        timeout: float | None = None,
        answer_timeout: float | None = None,
        **options: Unpack[SpeakOptions],
    ) -> SpeechStream:
        """Speak `text` and yield its audio in chunks, as soon as each is made.

        Leaving the `with` block early cancels the request, here and on the server.

        >>> with bark.stream("A long story …") as stream:
        ...     for chunk in stream:
        ...         player.write(chunk.samples)
        >>> stream.speech.save("story.flac")

        The text may still be coming, as from a language model. Its fragments are read in a thread of their own. The
        audio of such a text, and of one of over 20 000 characters, is not kept: memory does not grow, and
        `stream.speech` is not there. The next request is sent while the caller still reads the one before it.

        >>> with bark.stream(open("book.txt"), voice="joe") as stream:
        ...     for chunk in stream:
        ...         player.write(chunk.samples)
        """
        limits = self._connection.limits.overridden(total=timeout, answer=answer_timeout)
        return self._stream(text, voice=voice, seed=seed, limits=limits, options=options, keep=False)

    def _stream(
        self,
        text: str | Iterable[str],
        *,
        voice: VoiceLike | None,
        seed: int | None,
        limits: Limits,
        options: SpeakOptions,
        keep: bool,
    ) -> SpeechStream:
        """A stream of one request, or of several. `keep`: keep the audio of several requests, too."""
        if not is_long(text):
            keep = keep or self._keep_audio
            return self._request(cast(str, text), voice=voice, seed=seed, limits=limits, options=options, keep=keep)
        if isinstance(text, AsyncIterable):
            raise InvalidRequest("text: fragments that are awaited need AsyncBarkClient")
        script = Script(voice=voice, seed=seed, options=options)
        return LongStream(partial(self._request, limits=limits), gather(text), script=script, keep=keep)

    def speak_passages(self, passages: Iterable[Passage], *, script: Script) -> LongStream:
        """Speak what `bark_client.long_text.gather` made of a text, request by request.

        Its `events()` tell where each request ends. This is for jobs that go on after they were interrupted:
        `bark_client.book` is one.
        """
        return LongStream(partial(self._request, limits=self._connection.limits), iter(passages), script=script)

    def _request(
        self,
        text: str,
        *,
        voice: VoiceLike | None,
        seed: int | None,
        limits: Limits,
        options: SpeakOptions,
        keep: bool = False,
    ) -> RequestStream:
        request = protocol.speech_request(text, voice=voice, seed=seed, options=options)
        return RequestStream(
            Exchange(request, text=text, limits=limits, url=self._connection.url, keep=keep),
            connection=self._connection,
            stub=self._stub,
            closed=self._closed,
        )

    def health(self, *, deep: bool = False, timeout: float | None = None) -> Health:
        """What the server can do now. A problem of the server is in the result; it is not raised.

        Args:
            deep: also speak a word. A server can call itself ready while the process behind one of its models is dead.
                If the word is not spoken in time, the server still counts as healthy when it made speech for others
                meanwhile.
            timeout: seconds per question. Default: the client's `connect_timeout`, and 2 minutes for the word.
        """
        metadata, ready, canary, busy, problem = None, False, None, False, ""
        seconds = timeout or self._connection.limits.connect
        try:
            metadata = self._once(self._stub.ServerMetadata, service_pb2.ServerMetadataRequest(), timeout=seconds)
            ready = self._once(
                self._stub.ModelReady, service_pb2.ModelReadyRequest(name=protocol.MODEL), timeout=seconds
            ).ready
            # Triton counts itself ready if all models are, so not while a stage is loaded again.
            ready = (
                ready and self._once(self._stub.ServerReady, service_pb2.ServerReadyRequest(), timeout=seconds).ready
            )
            if deep and ready:
                before, start = self._decoded(), time.monotonic()
                try:
                    limits = self._connection.limits.overridden(total=timeout or CANARY_TIMEOUT_S)
                    word = self._request(CANARY_TEXT, voice=None, seed=0, limits=limits, options=CANARY_OPTIONS)
                    with word.as_check() as chunks:
                        for _ in chunks:
                            pass
                    canary = time.monotonic() - start
                except RequestTimeout:
                    busy = self._decoded() > before
                    if not busy:
                        raise
        except BarkError as error:
            problem = str(error)
        return self._connection.health(metadata=metadata, ready=ready, canary=canary, busy=busy, problem=problem)

    def _decoded(self) -> int:
        """How many pieces of audio the server has decoded since it started."""
        request = protocol.decoder_statistics()
        answer = self._once(self._stub.ModelStatistics, request, timeout=self._connection.limits.connect)
        return protocol.inference_count(answer)

    def _infer(self, call: Call[T]) -> T:
        if call.repeatable:
            return call.parse(self._call(self._stub.ModelInfer, call.request))
        # A call that changes something is sent once, on a connection that is known to work.
        self._call(self._stub.ServerLive, _LIVE)
        limits = self._connection.limits
        return call.parse(self._once(self._stub.ModelInfer, call.request, timeout=limits.total or limits.answer))

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        """Make a call that changes nothing, again and again until the server can be reached."""
        limits = self._connection.limits
        retries = Retries(limits)
        while True:
            try:
                return self._once(method, request, timeout=limits.total or limits.answer)
            except BarkError as error:
                pause(retries.delay(error), self._closed)

    def _once(self, method: Any, request: Any, *, timeout: float | None) -> Any:
        """Make a call. While it takes long, look whether the server is still there."""
        metadata, silence = self._connection.metadata, Silence(url=self._connection.url, timeout=timeout)
        try:
            call = method.future(request, timeout=timeout, metadata=metadata)
            try:
                while True:
                    with suppress(grpc.FutureTimeoutError):
                        return call.result(timeout=silence.wait())
                    self._look(silence)
            finally:
                call.cancel()
        except grpc.RpcError as error:
            raise self._connection.error(error) from None
        except grpc.FutureCancelledError:
            raise cancelled_error() from None
        except ValueError:  # gRPC raises it for a closed channel
            raise closed_error() from None

    def _look(self, silence: Silence) -> None:
        """Raise ServerUnavailable if the server is gone."""
        seconds = silence.look_seconds()
        try:
            self._stub.ServerLive(_LIVE, timeout=seconds, metadata=self._connection.metadata)
        except grpc.RpcError as error:
            silence.not_seen(self._connection.error(error), seconds=seconds)
        else:
            silence.looked(ready=True)
