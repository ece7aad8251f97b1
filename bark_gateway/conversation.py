"""A text that arrives in fragments, as from a language model, and leaves as audio, sentence by sentence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from bark_client import BarkError, Summary
from bark_client.long_text import Gatherer, Passage
from bark_client.script import Script
from bark_gateway.errors import GatewayError, as_answer
from bark_gateway.gateway import Gateway
from bark_gateway.keys import Key
from bark_gateway.messages import Told, told
from bark_gateway.requests import Call, check_length
from bark_gateway.speech import described

MAX_WAITING: Final = 1_000  #: sentences that are not yet spoken

Send = Callable[[Told | bytes], Awaitable[None]]  #: takes audio, or what is told of it


class Conversation:
    """Speaks what it is fed, in order. Each sentence is a file of its own in the format that was asked for.

    call: how everything is spoken; its text counts for nothing. `run` speaks; the other methods return at once.
    Without a voice, what the first sentence spoke is the voice of all later ones.
    """

    def __init__(self, call: Call, *, gateway: Gateway, key: Key, send: Send) -> None:
        self._call, self._gateway, self._key, self._send = call, gateway, key, send
        self._script = Script(voice=call.voice, seed=call.seed, options=call.options)
        self._gatherer = Gatherer(sentences=True)
        self._passages: asyncio.Queue[Passage | None] = asyncio.Queue()
        self._speaking: asyncio.Task[None] | None = None
        self._count, self._seconds = 0, 0.0

    @property
    def busy(self) -> bool:
        """Whether something is spoken, or waits for it."""
        return self._speaking is not None or not self._passages.empty()

    def feed(self, text: str) -> None:
        """Add to the text. Raises GatewayError if it is too long, or too much waits."""
        check_length(text, field="text", settings=self._gateway.settings)
        if self._passages.qsize() >= MAX_WAITING:
            raise GatewayError(429, f"{MAX_WAITING} sentences wait. Send more when some are spoken.", code="queue_full")
        self._add(self._gatherer.feed(text))

    def flush(self) -> None:
        """Speak what is there, although its sentence may go on."""
        self._add(self._gatherer.flush())

    def cancel(self) -> None:
        """Forget all that is not yet spoken, and stop what is."""
        self._gatherer = Gatherer(sentences=True)
        while not self._passages.empty():
            self._passages.get_nowait()
        if self._speaking is not None:
            self._speaking.cancel()

    def end(self) -> None:
        """Nothing more will be fed: `run` returns when all is spoken."""
        self.flush()
        self._passages.put_nowait(None)

    async def run(self) -> None:
        """Speak, until `end`."""
        while (passage := await self._passages.get()) is not None:
            number, self._count = self._count, self._count + 1
            self._speaking = asyncio.create_task(self._speak(passage, number))
            try:
                await asyncio.wait({self._speaking})
                if not self._speaking.cancelled():
                    self._speaking.result()  # raises what is no fault of the sentence: the client has left
            finally:
                self._speaking.cancel()
                self._speaking = None
        await self._send(told("done", pieces=self._count, seconds=round(self._seconds, 3)))

    def _add(self, passages: Iterable[Passage]) -> None:
        for passage in passages:
            self._passages.put_nowait(passage)

    async def _speak(self, passage: Passage, number: int) -> None:
        await self._send(told("piece", piece=number, text=passage.text))
        call = replace(self._call, text=self._script.text(passage), **self._script.arguments())
        summary, tokens = Summary(), None
        try:
            async with aclosing(self._gateway.speak(call, key=self._key)) as parts:
                async for part in parts:
                    if part.data:
                        await self._send(part.data)
                    if part.summary is not None:
                        summary, tokens = part.summary, part.tokens
        except (BarkError, GatewayError) as error:
            await self._send(told("error", piece=number, **as_answer(error).envelope()))
            return
        self._script.finished(passage, summary, tokens)
        self._seconds += summary.seconds / call.speed
        await self._send(told("piece.done", piece=number, **described(call, summary)))
