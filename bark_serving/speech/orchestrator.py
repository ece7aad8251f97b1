"""From a request to audio: sentences run concurrently, their audio leaves in order.

One asyncio loop conducts it; the stages below are reached through a `stage_client.Caller`. Closing the iterator of
`Orchestrator.speak`, or cancelling the task that iterates it, stops every stage call in flight.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bark_serving.arrays import Floats, Ids, Tokenise
from bark_serving.errors import InvalidRequest
from bark_serving.spec import Spec
from bark_serving.speech import text
from bark_serving.speech.request import SpeechRequest
from bark_serving.speech.sentence import SentenceRun, Utterance
from bark_serving.speech.stage_capabilities import StageInterface
from bark_serving.speech.stage_client import Caller, Stages
from bark_serving.voices import Voice, VoiceLibrary, voice_from_arrays

_Chunks = asyncio.Queue[tuple[Floats, bool] | BaseException]


@dataclass(frozen=True)
class Answer:
    """One answer to a client: audio [samples] and a report; tokens with the last one when asked for."""

    audio: Floats
    report: dict[str, Any]
    tokens: Utterance | None = None


@dataclass
class _Job:
    """A request under way."""

    request: SpeechRequest
    stages: Stages
    sentences: list[str]
    voice: Voice | None
    started: float = field(default_factory=time.perf_counter)
    first_audio: float | None = None
    samples: int = 0


class Orchestrator:
    """Speaks requests for one checkpoint.

    embeddings: [input_vocab, width] of the semantic network. concurrency: sentences of one request in flight at most.
    in_flight: sentences of all requests; the others wait in order of arrival. A sentence that has begun must never wait
    for one that has not: it holds a row of the coarse stage between its windows.
    """

    def __init__(
        self,
        caller: Caller,
        *,
        spec: Spec,
        embeddings: Floats,
        tokenise: Tokenise,
        voices: VoiceLibrary,
        concurrency: int,
        in_flight: int,
        interface: StageInterface | None = None,
    ) -> None:
        self._caller = caller
        self._spec = spec
        self._embeddings = embeddings
        self._tokenise = tokenise
        self._voices = voices
        self._concurrency = concurrency
        self._places = asyncio.Semaphore(in_flight)
        self._interface = interface or StageInterface()

    async def speak(self, request: SpeechRequest, *, request_id: str) -> AsyncGenerator[Answer, None]:
        """Answers in order; the last one's report says ``last``. Raises `bark_serving.errors.ServingError`."""
        self._interface.check(request)
        job = _Job(
            request=request,
            stages=Stages(
                self._caller,
                spec=self._spec,
                embeddings=self._embeddings,
                request_id=request_id,
                interface=self._interface,
            ),
            # long texts, and files on a network volume perhaps: other requests' audio must not wait for them
            sentences=await asyncio.to_thread(self._sentences, request),
            voice=await asyncio.to_thread(self._voice, request),
        )
        queues: list[_Chunks] = [asyncio.Queue() for _ in job.sentences]
        tasks = self._start(job, queues)
        held: list[Floats] = []
        try:
            for index, pending in enumerate(queues):
                last = False
                while not last:
                    audio, last = await _next(pending)
                    self._count(job, audio)
                    final = last and index == len(tasks) - 1
                    if not request.stream:
                        held.append(audio)
                        audio = np.concatenate(held) if final else audio
                    if final:
                        yield await self._finish(job, tasks, audio)
                    elif request.stream and len(audio):
                        yield Answer(audio, self._place(index, len(tasks)))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _sentences(self, request: SpeechRequest) -> list[str]:
        limit = self._spec.semantic.text_context
        if request.split_sentences:
            language = request.language or text.guess_language(request.text, voice=request.voice)
            sentences = text.split(request.text, language=language, tokenise=self._tokenise, limit=limit)
        else:
            whole = text.normalise(request.text)
            count = len(self._tokenise(whole))
            if count > limit:
                raise InvalidRequest(
                    f"text has {count} tokens; one sentence holds {limit}: let split_sentences cut it."
                )
            sentences = [whole] if count else []
        if not sentences:
            raise InvalidRequest("text holds nothing that this checkpoint can speak; send at least one word.")
        return sentences

    def _voice(self, request: SpeechRequest) -> Voice | None:
        if request.voice is not None:
            return self._voices.get(request.voice)
        if request.voice_arrays:
            return voice_from_arrays(request.voice_arrays, spec=self._spec)
        return None

    def _start(self, job: _Job, queues: list[_Chunks]) -> list[asyncio.Task[Utterance]]:
        """A task a sentence. Waiting for a semaphore is first come, first served: the order of need."""
        slots = asyncio.Semaphore(self._concurrency)
        tasks: list[asyncio.Task[Utterance]] = []
        for index, pending in enumerate(queues):
            before = tasks[-1] if tasks and job.request.chain_sentences else None
            tasks.append(asyncio.create_task(self._sentence(job, index, pending, slots=slots, before=before)))
        return tasks

    async def _sentence(
        self,
        job: _Job,
        index: int,
        pending: _Chunks,
        *,
        slots: asyncio.Semaphore,
        before: asyncio.Task[Utterance] | None,
    ) -> Utterance:
        try:
            voice = job.voice
            if before is not None:
                said = await before
                voice = Voice(said.semantic, said.coarse, said.fine) if said.frames else voice
            async with slots, self._places:
                run = SentenceRun(job.stages, job.request, spec=self._spec, index=index, voice=voice)
                tokens = np.array(self._tokenise(job.sentences[index]), np.int32)
                return await run.run(tokens, lambda audio, last: pending.put_nowait((audio, last)))
        except BaseException as error:
            pending.put_nowait(_first_cause(error))
            raise

    def _place(self, sentence: int, sentences: int) -> dict[str, Any]:
        """What every answer's report says."""
        rate = self._spec.encodec.sample_rate
        return {"sentence": sentence, "sentences": sentences, "last": False, "sample_rate": rate}

    def _count(self, job: _Job, audio: Floats) -> None:
        job.samples += len(audio)
        if len(audio) and job.first_audio is None:
            job.first_audio = time.perf_counter() - job.started

    async def _finish(self, job: _Job, tasks: list[asyncio.Task[Utterance]], audio: Floats) -> Answer:
        """The last answer, with what the whole request took."""
        said = [await task for task in tasks]
        first = job.first_audio
        report = {
            **self._place(len(said) - 1, len(said)),
            "last": True,
            "seed": job.request.seed,
            "text": job.request.text,
            "stages": job.stages.times.report(),
            "seconds": round(time.perf_counter() - job.started, 4),
            "first_audio_seconds": None if first is None else round(first, 4),
            "audio_seconds": job.samples / self._spec.encodec.sample_rate,
            "warnings": self._warnings(job, said),
        }
        return Answer(audio, report, _join(said) if job.request.return_tokens else None)

    def _warnings(self, job: _Job, said: list[Utterance]) -> list[str]:
        limit = self._spec.semantic.max_steps / self._spec.semantic.rate_hz
        warnings = list(self._interface.warnings(job.request))
        for number, (sentence, utterance) in enumerate(zip(job.sentences, said, strict=True), 1):
            start = sentence if len(sentence) <= 40 else f"{sentence[:40]}…"
            if not utterance.frames:
                warnings.append(f"sentence {number} ({start!r}) ended before it began; try another seed.")
            elif not utterance.complete:
                warnings.append(
                    f"sentence {number} ({start!r}) was cut at {limit:.1f} s; split it or try another seed."
                )
        return warnings


async def _next(pending: _Chunks) -> tuple[Floats, bool]:
    """The next audio of a sentence and whether it is its last, or the exception that ended it."""
    chunk = await pending.get()
    if isinstance(chunk, BaseException):
        raise chunk
    return chunk


def _first_cause(error: BaseException) -> BaseException:
    """The exception itself, or the first plain one of a task group's."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _join(said: list[Utterance]) -> Utterance:
    """All sentences as one utterance."""
    return Utterance(
        semantic=_concatenate([one.semantic for one in said]),
        coarse=_concatenate([one.coarse for one in said]),
        fine=_concatenate([one.fine for one in said]),
        complete=all(one.complete for one in said),
    )


def _concatenate(arrays: list[Ids]) -> Ids:
    return np.concatenate(arrays, axis=-1)
