"""One request under way: its sentences run side by side, and their audio leaves in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bark_serving.arrays import Floats, Ids, Tokenise
from bark_serving.spec import Spec
from bark_serving.speech.report import SpeechReport, SpeechSummary
from bark_serving.speech.request import SpeechRequest, warnings
from bark_serving.speech.sentence import SentenceRun, Utterance
from bark_serving.speech.silence import Seams, silence
from bark_serving.speech.stage_client import Stages
from bark_serving.speech.text import Prepared
from bark_serving.voices import Voice

#: Audio of a sentence and whether it is the sentence's last, or the exception that ended the sentence.
_Chunk = tuple[Floats, bool] | BaseException


@dataclass(frozen=True)
class Answer:
    """One answer to a client: audio [samples] and a report; tokens with the last one when asked for."""

    audio: Floats
    report: SpeechReport
    tokens: Voice | None = None


class SpeechJob:
    """Speaks the sentences of one request: the pieces of its text, and the silence between them.

    voices: by the names that tags of the text give; None is the request's own.
    own_slots, shared_slots: a sentence runs while it holds one of each; `own_slots` are this request's, `shared_slots`
    those of all requests.
    """

    def __init__(
        self,
        request: SpeechRequest,
        *,
        spec: Spec,
        stages: Stages,
        tokenise: Tokenise,
        text: Prepared,
        voices: Mapping[str | None, Voice | None],
        own_slots: asyncio.Semaphore,
        shared_slots: asyncio.Semaphore,
    ) -> None:
        self._request = request
        self._spec = spec
        self._stages = stages
        self._tokenise = tokenise
        self._text = text
        self._pieces = text.pieces
        self._voices = voices
        self._own_slots = own_slots
        self._shared_slots = shared_slots
        self._chunks: list[asyncio.Queue[_Chunk]] = [asyncio.Queue() for _ in text.pieces]
        self._seams = self._make_seams()
        self._started = time.perf_counter()
        self._first_audio_seconds: float | None = None
        self._samples = 0

    async def answers(self) -> AsyncGenerator[Answer, None]:
        """The answers in order. Closing this iterator stops every sentence."""
        tasks = self._start()
        held: list[Floats] = []  # all audio so far, where the client wants one answer
        try:
            async for index, audio, final in self._audio():
                if not self._request.stream:
                    held.append(audio)
                    audio = np.concatenate(held) if final else audio
                if final:
                    yield self._last_answer([await task for task in tasks], audio)
                elif self._request.stream and len(audio):
                    yield Answer(audio, self._report(index))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _audio(self) -> AsyncGenerator[tuple[int, Floats, bool], None]:
        """Audio in order, with the piece that it belongs to and whether it is the last: speech and silence."""
        for index, piece in enumerate(self._pieces):
            yield index, self._silence(piece.silence_s), False
            last = False
            while not last:
                audio, last = await self._next(index)
                final = last and index == len(self._pieces) - 1
                if final:
                    audio = np.concatenate([audio, self._silence(self._text.end_silence_s)])
                yield index, audio, final

    def _silence(self, seconds: float) -> Floats:
        audio = silence(seconds, rate=self._spec.encodec.sample_rate)
        self._samples += len(audio)
        return audio

    def _make_seams(self) -> list[Seams]:
        """For each piece, its fades where it meets silence or another piece."""
        rate, final = self._spec.encodec.sample_rate, len(self._pieces) - 1
        trailing = self._text.end_silence_s > 0
        return [
            Seams(rate=rate, begin=index > 0 or piece.silence_s > 0, end=index < final or trailing)
            for index, piece in enumerate(self._pieces)
        ]

    def _start(self) -> list[asyncio.Task[Utterance]]:
        """One task per sentence. `asyncio.Semaphore` is first in, first out, so earlier sentences start first."""
        tasks: list[asyncio.Task[Utterance]] = []
        for index in range(len(self._pieces)):
            before = tasks[-1] if tasks and self._request.chain_sentences else None
            tasks.append(asyncio.create_task(self._speak(index, before)))
        return tasks

    async def _speak(self, index: int, before: asyncio.Task[Utterance] | None) -> Utterance:
        """Speak one sentence, with the voice of the sentence `before` it where sentences are chained."""
        chunks = self._chunks[index]
        try:
            piece = self._pieces[index]
            voice = self._voices[piece.voice]
            same = piece.voice == self._pieces[index - 1].voice
            if before is not None and same and (last := (await before).tokens).frames:
                voice = last
            async with self._own_slots, self._shared_slots:
                run = SentenceRun(self._stages, self._request, spec=self._spec, index=index, voice=voice)
                tokens = np.array(self._tokenise(piece.text), np.int32)
                semantic, complete = await run.semantic(tokens)
                said = await run.speak(semantic, lambda audio, last: chunks.put_nowait((audio, last)))
                return Utterance(said, complete)
        except BaseException as error:
            chunks.put_nowait(_first_cause(error))
            raise

    async def _next(self, index: int) -> tuple[Floats, bool]:
        """The next audio of a sentence and whether it is its last. Raises the exception that ended the sentence."""
        chunk = await self._chunks[index].get()
        if isinstance(chunk, BaseException):
            raise chunk
        audio, last = chunk
        audio = self._seams[index].feed(audio, last=last)
        self._samples += len(audio)
        if len(audio) and self._first_audio_seconds is None:
            self._first_audio_seconds = time.perf_counter() - self._started
        return audio, last

    def _last_answer(self, said: Sequence[Utterance], audio: Floats) -> Answer:
        """The answer that ends the stream, with what the whole request took."""
        summary = SpeechSummary(
            seed=self._request.seed,
            text=self._request.text,
            stages=self._stages.times.report(),
            seconds=time.perf_counter() - self._started,
            first_audio_seconds=self._first_audio_seconds,
            audio_seconds=self._samples / self._spec.encodec.sample_rate,
            warnings=self._warnings(said),
        )
        tokens = _join([one.tokens for one in said]) if self._request.return_tokens else None
        return Answer(audio, self._report(len(said) - 1, summary), tokens)

    def _report(self, index: int, summary: SpeechSummary | None = None) -> SpeechReport:
        return SpeechReport(index, len(self._pieces), self._spec.encodec.sample_rate, summary)

    def _warnings(self, said: Sequence[Utterance]) -> list[str]:
        limit = self._spec.semantic.max_steps / self._spec.semantic.rate_hz
        found = [*warnings(self._request, spec=self._spec, capabilities=self._stages.capabilities), *self._text.notes]
        for number, (piece, utterance) in enumerate(zip(self._pieces, said, strict=True), 1):
            start = piece.text if len(piece.text) <= 40 else f"{piece.text[:40]}…"
            if not utterance.tokens.frames:
                found.append(f"sentence {number} ({start!r}) has no audio: it ended at once; try another seed.")
            elif not utterance.complete:
                found.append(f"sentence {number} ({start!r}) was cut at {limit:.1f} s; split it or try another seed.")
        return found


def _first_cause(error: BaseException) -> BaseException:
    """The exception itself, or the first plain one of a task group's."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _join(said: Sequence[Voice]) -> Voice:
    """The tokens of all sentences, one after the other."""
    return Voice(
        semantic=_concatenate([one.semantic for one in said]),
        coarse=_concatenate([one.coarse for one in said]),
        fine=_concatenate([one.fine for one in said]),
    )


def _concatenate(arrays: Sequence[Ids]) -> Ids:
    return np.concatenate(arrays, axis=-1)
