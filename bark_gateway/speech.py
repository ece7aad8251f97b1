"""One speech: the request goes to a server, and its audio comes back encoded, while it is made."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from bark_client import Chunk, Summary, Voice
from bark_client.audio import blocks
from bark_gateway.encoding import BLOCK_SAMPLES, Encoder, open_encoder
from bark_gateway.errors import GatewayError
from bark_gateway.requests import Call
from bark_gateway.servers import Bark
from bark_gateway.tempo import Tempo


@dataclass(frozen=True)
class Part:
    """Some of the encoded audio. The last part has the summary, and perhaps no bytes."""

    data: bytes
    sentence: int
    sentences: int
    summary: Summary | None = None
    tokens: Voice | None = None  #: what was generated, with the summary, if the call asked for it


class _Coder:
    """Chunks of a server to bytes."""

    def __init__(self, call: Call, *, sample_rate: int) -> None:
        self._tempo = Tempo(call.speed, sample_rate=sample_rate)
        self._encoder: Encoder = open_encoder(call.format, sample_rate=sample_rate)

    def feed(self, chunk: Chunk) -> Iterator[bytes]:
        for block in blocks(chunk.samples, BLOCK_SAMPLES):
            yield self._encoder.feed(self._tempo.feed(block))

    def end(self) -> bytes:
        return self._encoder.feed(self._tempo.end()) + self._encoder.end()


async def spoken(bark: Bark, call: Call, *, heard: Callable[[Chunk], None] = lambda _: None) -> AsyncGenerator[Part]:
    """The parts of a speech, each as soon as it can leave. Closing this iterator stops the request on the server.

    heard: gets each chunk when it has arrived. Raises BarkError, and GatewayError if there is no audio at all.
    """
    coder: _Coder | None = None
    async with bark.stream(call.text, voice=call.voice, seed=call.seed, **call.options) as stream:
        chunk: Chunk | None = None
        async for chunk in stream:
            heard(chunk)
            coder = coder or _Coder(call, sample_rate=chunk.sample_rate)
            for data in coder.feed(chunk):
                if data:
                    yield Part(data, chunk.sentence, chunk.sentences)
                await asyncio.sleep(0)  # other requests come between, and a client that left is noticed
        summary: Summary = stream.summary
        tokens: Voice | None = getattr(stream, "tokens", None)  # a text of several requests has none
    if coder is None or chunk is None or not summary.seconds:
        raise GatewayError(500, "Bark made no audio of this text. Try another seed.", code="no_audio")
    yield Part(coder.end(), chunk.sentence, chunk.sentences, summary, tokens)


async def as_audio(parts: AsyncGenerator[Part]) -> AsyncGenerator[bytes]:
    """The bytes of the file."""
    async with aclosing(parts):
        async for part in parts:
            if part.data:
                yield part.data


async def as_events(parts: AsyncGenerator[Part], *, call: Call) -> AsyncGenerator[bytes]:
    """OpenAI's server-sent events, with fields of our own: the sentence of each delta, and `bark` at the end."""
    async with aclosing(parts):
        async for part in parts:
            if part.data:
                audio = base64.b64encode(part.data).decode()
                yield event(
                    "speech.audio.delta", audio=audio, sentence=part.sentence, sentences=part.sentences
                )  # fmt: skip
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
        "warnings": list(summary.warnings),
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
