"""Wyoming, the protocol by which Home Assistant speaks: events over TCP, each a line of JSON with data behind it.

It has no keys: whoever reaches the port may speak. https://github.com/OHF-Voice/wyoming
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, Final

from pydantic import ValidationError
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, Eventable, async_read_event, async_write_event
from wyoming.info import Attribution, Describe, Info, TtsProgram, TtsVoice
from wyoming.ping import Ping, Pong
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeStopped, SynthesizeVoice

from bark_client import BarkError, VoiceInfo, __version__
from bark_client.protocol import SAMPLE_RATE
from bark_client.voice import LANGUAGES
from bark_gateway.access import CURRENT, write_line
from bark_gateway.conversation import Conversation
from bark_gateway.errors import GatewayError, as_answer, from_validation, invalid
from bark_gateway.gateway import Gateway
from bark_gateway.keys import Key
from bark_gateway.messages import Told
from bark_gateway.requests import Call, HowToSpeak
from bark_gateway.waiting import Idle, received
from bark_gateway.wyoming_events import BROKEN, Bounded, not_wyoming, parsed
from bark_tracing import Tracing

MAX_WAITING: Final = 100  #: speeches of one connection that are not yet begun
_BYTES_PER_SAMPLE: Final = 2
_SOUND: Final = {"rate": SAMPLE_RATE, "width": _BYTES_PER_SAMPLE, "channels": 1}
_SOURCE: Final = Attribution(name="Suno", url="https://github.com/suno-ai/bark")

Job = Callable[[], Awaitable[None]]


@asynccontextmanager
async def wyoming(
    gateway: Gateway, *, listeners: Sequence[socket.socket], key: Key, tracing: Tracing
) -> AsyncIterator[None]:
    """Answer on listening sockets while the block runs. key: whose limits hold. tracing: makes the spans of texts.

    When the gateway is told to stop, nothing new is taken. What was sent gets what is left of the grace time.
    """
    talks: dict[asyncio.Task[None], _Talk] = {}

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        one = _Talk(reader, writer, gateway=gateway, key=key, tracing=tracing)
        task = asyncio.create_task(one.run())
        talks[task] = one
        task.add_done_callback(talks.pop)

    servers = [await asyncio.start_server(talk, sock=one) for one in listeners]

    def take_no_more() -> None:
        for server in servers:
            server.close()
        for one in talks.values():
            one.stop()

    async def follow() -> None:
        await gateway.stopping.wait()
        take_no_more()

    following = asyncio.create_task(follow())
    try:
        yield
    finally:
        following.cancel()
        take_no_more()
        with suppress(TimeoutError):
            async with asyncio.timeout(gateway.grace_left_s()):
                for one in tuple(talks.values()):
                    await one.silent.wait()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


class _Talk:
    """One connection."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        gateway: Gateway,
        key: Key,
        tracing: Tracing,
    ) -> None:
        self._reader = Bounded(reader, most=gateway.settings.max_text_bytes)
        self._writer, self._gateway, self._key = writer, gateway, key
        self._tracing = tracing
        self._jobs: asyncio.Queue[Job] = asyncio.Queue(MAX_WAITING)
        self._conversation: Conversation | None = None
        self._samples = 0  # sent of this speech; 0: it has not begun
        self._stopping = False  # it takes no more texts
        self._unfinished = 0  # jobs
        self.silent = asyncio.Event()  #: there is no job
        self.silent.set()
        self._seen: dict[str, Any] = {"outcome": "left", "bytes": 0}

    async def run(self) -> None:
        """Until the client leaves. An error ends the connection, because Home Assistant waits for nothing less."""
        working, started = asyncio.create_task(self._work()), time.monotonic()
        try:
            with self._gateway.socket():
                while (event := await self._event(working)) is not None:
                    await self._take(event)
        except (GatewayError, BarkError) as error:
            told = as_answer(error)
            self._seen["outcome"] = told.code or "refused"
            with suppress(OSError, TimeoutError):
                await self._send(Error(text=told.message, code=told.code))
        except (Idle, OSError, TimeoutError):
            return  # the client has left, says nothing or takes nothing any more
        finally:
            working.cancel()
            self.silent.set()
            self._writer.close()
            self._log(time.monotonic() - started)

    def stop(self) -> None:
        """Speak what was sent, and take no more."""
        self._stopping = True
        self._end_text()

    def _log(self, seconds: float) -> None:
        """A line in the access log, as the other interfaces write it."""
        client = self._writer.get_extra_info("peername")
        write_line(
            client=client[0] if client else None,
            key=self._key.name,
            method="WYOMING",
            **self._seen,
            seconds=round(seconds, 4),
        )

    async def _event(self, working: asyncio.Task[None]) -> Event | None:
        """What the client sends next; None if it has left. Raises Idle, and what ended the work."""
        try:
            event = await received(
                async_read_event(self._reader),  # type: ignore[arg-type] # a StreamReader; it uses two of its methods
                working=working,
                busy=lambda: self._busy,
                idle_s=self._gateway.settings.socket_idle_s,
            )
        except BROKEN:
            raise not_wyoming() from None
        if event is not None and not (isinstance(event.type, str) and isinstance(event.data, dict)):
            raise not_wyoming()
        return event

    @property
    def _busy(self) -> bool:
        """Whether something is spoken, or waits for it. A text that is still written is not spoken by itself."""
        written = self._conversation
        return self._unfinished > (written is not None) or (written is not None and written.busy)

    async def _take(self, event: Event) -> None:
        if Describe.is_type(event.type):
            await self._send(await self._info())
        elif Ping.is_type(event.type):
            await self._send(Pong(text=event.data.get("text")))
        elif self._stopping:
            return  # the connection ends when what it was sent before is spoken
        elif Synthesize.is_type(event.type):
            if self._conversation is None:  # else it repeats the pieces, for servers that take none
                wanted = parsed(Synthesize, event)
                call = self._call(wanted, text=wanted.text)
                self._add(self._traced(lambda: self._speak(call)))
        elif SynthesizeStart.is_type(event.type):
            call = self._call(parsed(SynthesizeStart, event), text="-")
            self._end_text()  # of a client that forgot to
            self._conversation = Conversation(call, gateway=self._gateway, key=self._key, send=self._spoken)
            self._add(self._traced(self._conversation.run))
        elif SynthesizeChunk.is_type(event.type) and self._conversation is not None:
            self._conversation.feed(parsed(SynthesizeChunk, event).text)
        elif SynthesizeStop.is_type(event.type) and self._conversation is not None:
            self._end_text()
            self._add(lambda: self._send(SynthesizeStopped()))

    def _end_text(self) -> None:
        """The text that is still written is all there."""
        if self._conversation is not None:
            self._conversation.end()
            self._conversation = None

    def _add(self, job: Job) -> None:
        try:
            self._jobs.put_nowait(job)
            self._unfinished += 1
            self.silent.clear()
        except asyncio.QueueFull:
            raise GatewayError(429, f"{MAX_WAITING} speeches wait. Ask for more later.", code="queue_full") from None

    async def _work(self) -> None:
        """Speak, one after the other."""
        while True:
            job = await self._jobs.get()
            await job()
            self._unfinished -= 1
            if not self._unfinished:
                self.silent.set()

    def _traced(self, job: Job) -> Job:
        """The job inside a span, which the spans of its speeches are inside of."""

        async def traced() -> None:
            with self._tracing.request("WYOMING synthesize", key=self._key.name) as span:
                CURRENT.set(span)
                await job()

        return traced

    async def _speak(self, call: Call) -> None:
        async with aclosing(self._gateway.speak(call, key=self._key)) as parts:
            async for part in parts:
                await self._sound(part.data)
        await self._stop()

    async def _spoken(self, said: Told | bytes) -> None:
        """What a conversation says: audio, or a message."""
        if isinstance(said, bytes):
            await self._sound(said)
        elif said["type"] == "error":  # of one sentence; the others are spoken
            await self._send(Error(text=said["error"]["message"], code=said["error"]["code"]))
        elif said["type"] == "done" and self._samples:
            await self._stop()

    async def _sound(self, data: bytes) -> None:
        if not data:
            return
        at_ms = round(1000 * self._samples / SAMPLE_RATE)
        if not self._samples:
            await self._send(AudioStart(**_SOUND, timestamp=0))
        self._samples += len(data) // _BYTES_PER_SAMPLE
        self._seen["bytes"] += len(data)
        await self._send(AudioChunk(**_SOUND, audio=data, timestamp=at_ms))

    async def _stop(self) -> None:
        at_ms, self._samples = round(1000 * self._samples / SAMPLE_RATE), 0
        self._seen["outcome"] = "spoken"
        await self._send(AudioStop(timestamp=at_ms))

    async def _send(self, event: Eventable) -> None:
        async with asyncio.timeout(self._gateway.settings.send_timeout_s):
            await async_write_event(event.event(), self._writer)

    def _call(self, wanted: Synthesize | SynthesizeStart, *, text: str) -> Call:
        """Raises GatewayError."""
        if wanted.text_format not in (None, "text"):
            raise invalid("text_format: Bark reads text, and no SSML.", param="text_format")
        voice = wanted.voice or SynthesizeVoice()
        settings = self._gateway.settings
        try:
            how = HowToSpeak(
                model=settings.models[0], voice=voice.name, language=voice.language, response_format="pcm"
            )  # fmt: skip
        except ValidationError as error:
            raise from_validation(error.errors(), model=HowToSpeak) from None
        return Call.of(how, text, settings=settings)

    async def _info(self) -> Info:
        """What Home Assistant lists. Raises BarkError."""
        voices = {info.name: info for info in await self._gateway.servers.ask(lambda bark: bark.voices())}
        others = {name: of for name, of in self._gateway.settings.voices.items() if of in voices}
        named = [*voices.items(), *((name, voices[of]) for name, of in others.items())]
        offered = [_voice(name, info) for name, info in named if self._key.may_use(info.name)]
        program = TtsProgram(
            name="bark",
            description="Bark on Triton",
            attribution=_SOURCE,
            installed=True,
            version=__version__,
            voices=offered,
            supports_synthesize_streaming=True,
        )
        return Info(tts=[program])


def _voice(name: str, info: VoiceInfo) -> TtsVoice:
    """A voice whose language is not known may speak all that Bark can."""
    languages = [info.language] if info.language else list(LANGUAGES)
    return TtsVoice(
        name=name, description=name, attribution=_SOURCE, installed=True, version=None, languages=languages
    )  # fmt: skip
