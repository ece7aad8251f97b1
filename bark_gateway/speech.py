"""One speech: the request goes to a server, and its audio comes back encoded, while it is made."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from bark_client import AsyncBarkClient, Chunk, Summary, Voice
from bark_client.audio import blocks
from bark_client.protocol import SAMPLE_RATE
from bark_gateway.encoding import Encoder, RawEncoder, Samples, open_encoder
from bark_gateway.errors import UNSPEAKABLE, GatewayError
from bark_gateway.formats import Format
from bark_gateway.requests import Call
from bark_gateway.tempo import Tempo
from bark_gateway.wording import for_http

FIRST_STEP_S: Final = 0.02  #: of speech, that is encoded at once until there are bytes
BLOCK_S: Final = 0.25  #: of speech, that is encoded at once: 1 to 3 ms of work


@dataclass(frozen=True)
class Part:
    """Some of the encoded audio. The last part has the summary, and perhaps no bytes."""

    data: bytes
    sentence: int
    sentences: int
    summary: Summary | None = None
    tokens: Voice | None = None  #: what was generated, with the summary, if the call asked for it
    text: str | None = None  #: of the piece, as it is spoken; None if the server does not say it


class Coder:
    """Chunks of a server to bytes. Opening an encoder takes milliseconds: do it while the server works."""

    def __init__(self, *, format: Format, speed: float, sample_rate: int, whole: bool = False) -> None:  # noqa: A002
        self.sample_rate = sample_rate
        self._tempo = Tempo(speed, sample_rate=sample_rate)
        self._encoder: Encoder = open_encoder(format, sample_rate=sample_rate, whole=whole)
        self._begun = whole or isinstance(self._encoder, RawEncoder)

    async def feed(self, samples: Samples) -> AsyncGenerator[bytes]:
        """The bytes of a chunk: the first ones of a speech as soon as there can be any, later ones by the second.

        The first bytes are a moment of speech. So a block follows them before other requests come between: with 64
        streams, the player would else wait for it.
        Not in threads: encoders call Python for each packet, and the event loop of 64 streams then waits for them.
        """
        block_size = round(BLOCK_S * self.sample_rate)
        if not self._begun:
            self._begun = True
            first, samples = self._first(samples)
            yield first
            yield self._encode(samples[:block_size])
            samples = samples[block_size:]
        for second in blocks(samples, self.sample_rate):
            data = bytearray()
            for block in blocks(second, block_size):
                await asyncio.sleep(0)  # other requests come between, and a client that left is noticed
                data += self._encode(block)
            yield bytes(data)

    def _first(self, samples: Samples) -> tuple[bytes, Samples]:
        """The first bytes with audio, and the samples that are left: no more is encoded than it takes."""
        data, at, step, outputs = bytearray(), 0, round(FIRST_STEP_S * self.sample_rate), 0
        while outputs < 1 + self._encoder.header_alone and at < samples.size:
            made = self._encode(samples[at : at + step])
            data, at, outputs = data + made, at + step, outputs + bool(made)
        return bytes(data), samples[at:]

    def end(self) -> bytes:
        return self._encoder.feed(self._tempo.end()) + self._encoder.end()

    def _encode(self, samples: Samples) -> bytes:
        return self._encoder.feed(self._tempo.feed(samples))


async def spoken(bark: AsyncBarkClient, call: Call, *, heard: Callable[[float], None]) -> AsyncGenerator[Part]:
    """The parts of a speech, each as soon as it can leave. Closing this iterator stops the request on the server.

    heard: called with the seconds of each chunk that arrives.
    Raises BarkError, and GatewayError if there is no audio at all.
    """
    chunk: Chunk | None = None
    piece, text = 0, None  # its number, and its text
    async with bark.stream(call.text, voice=call.voice, seed=call.seed, **call.options) as stream:
        open_coder = partial(Coder, format=call.format, speed=call.speed, whole=call.whole)
        coder = open_coder(sample_rate=SAMPLE_RATE)
        async for chunk in stream:
            heard(chunk.seconds)
            text = text if chunk.text is None and chunk.sentence == piece else chunk.text
            piece = chunk.sentence
            if chunk.sample_rate != coder.sample_rate:
                coder = open_coder(sample_rate=chunk.sample_rate)
            async for data in coder.feed(chunk.samples):
                if data or call.whole:
                    yield Part(data, chunk.sentence, chunk.sentences, text=text)
            await asyncio.sleep(0)  # also after the last block of a chunk
        summary: Summary = stream.summary
        tokens: Voice | None = getattr(stream, "tokens", None)  # a text of several requests has none
    if chunk is None or not summary.seconds:
        raise GatewayError(UNSPEAKABLE, "Bark made no audio of this text. Try another seed.", code="no_audio")
    yield Part(coder.end(), chunk.sentence, chunk.sentences, summary, tokens, text=text)


async def as_audio(parts: AsyncGenerator[Part]) -> AsyncGenerator[bytes]:
    """The bytes of the file."""
    async with aclosing(parts):
        async for part in parts:
            if part.data:
                yield part.data


async def as_events(parts: AsyncGenerator[Part], *, call: Call) -> AsyncGenerator[bytes]:
    """OpenAI's server-sent events, with fields of our own: the piece of each delta, and `bark` at the end."""
    async with aclosing(parts):
        async for part in parts:
            if part.data:
                audio = base64.b64encode(part.data).decode()
                place = {"sentence": part.sentence, "sentences": part.sentences, "text": part.text}
                yield event("speech.audio.delta", audio=audio, **place)
            if part.summary is not None:
                yield event("speech.audio.done", usage=usage(call, part.summary), bark=described(call, part.summary))


def event(kind: str, **fields: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps({"type": kind, **fields}, separators=(",", ":")).encode("ascii") + b"\n\n"


def usage(call: Call, summary: Summary) -> dict[str, int]:
    """OpenAI counts tokens. Here: characters that went in, and semantic tokens that came out."""
    stage = summary.timings.stages.get("semantic")
    made = stage.count if stage else 0
    return {"input_tokens": len(call.text), "output_tokens": made, "total_tokens": len(call.text) + made}


def described(call: Call, summary: Summary) -> dict[str, Any]:
    """What was spoken. Times are in seconds of the audio that the client gets, so `speed` counts."""
    return {
        "seed": str(call.seed),  # JavaScript's numbers hold 53 bits
        "seconds": round(summary.seconds / call.speed, 3),
        "server_seconds": round(summary.timings.seconds, 3),
        "warnings": [for_http(warning) for warning in summary.warnings],
        "pieces": [
            {
                "text": piece.text,
                "start": round(piece.start / call.speed, 3),
                "end": round(piece.end / call.speed, 3),
                "voice": piece.voice,
                "verdict": piece.verdict,
                "attempts": piece.attempts,
            }
            for piece in summary.pieces
        ],
    }
