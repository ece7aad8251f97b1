"""From a request to audio: what all requests of one server share.

One asyncio loop runs all requests; the stages below are reached through a `stage_client.Caller`. Closing the iterator
of `Orchestrator.speak`, or cancelling the task that iterates it, stops every stage call in flight.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from bark_serving.arrays import Floats
from bark_serving.spec import Spec
from bark_serving.speech.job import Answer, SpeechJob
from bark_serving.speech.request import SpeechRequest
from bark_serving.speech.stage_capabilities import StageCapabilities
from bark_serving.speech.stage_client import Caller, Stages
from bark_serving.speech.text import Prepared, Reading, Vocabulary, prepare
from bark_serving.voices import Voice, VoiceLibrary, voice_from_arrays

#: Sentences under way per row of the GPT stages: some are in the fine stage while others fill the rows.
_SENTENCES_PER_ROW = 2


class Orchestrator:
    """Speaks requests for one checkpoint.

    embeddings: [input_vocab, width] of the semantic network. max_batch: the rows of a GPT stage. One request has at
    most that many sentences under way, and all requests together at most twice as many; the others wait in order of
    arrival. A sentence that has begun must never wait for one that has not: it holds a row of the coarse stage between
    its windows.
    """

    def __init__(
        self,
        caller: Caller,
        *,
        spec: Spec,
        embeddings: Floats,
        vocabulary: Vocabulary,
        voices: VoiceLibrary,
        max_batch: int,
        capabilities: StageCapabilities,
    ) -> None:
        self._caller = caller
        self._spec = spec
        self._embeddings = embeddings
        self._vocabulary = vocabulary
        self._voices = voices
        self._max_batch = max_batch
        self._slots = asyncio.Semaphore(_SENTENCES_PER_ROW * max_batch)
        self._capabilities = capabilities

    async def speak(self, request: SpeechRequest, *, request_id: str) -> AsyncGenerator[Answer, None]:
        """Answers in order; only the last one's report has a summary. Raises `bark_serving.errors.ServingError`."""
        job = SpeechJob(
            request,
            spec=self._spec,
            stages=Stages(
                self._caller,
                spec=self._spec,
                embeddings=self._embeddings,
                request_id=request_id,
                capabilities=self._capabilities,
            ),
            tokenise=self._vocabulary.tokenise,
            # On threads: a long text or a voice on a network volume takes a while, and must not stop other requests.
            text=await asyncio.to_thread(self._prepare, request),
            voice=await asyncio.to_thread(self._voice, request),
            own_slots=asyncio.Semaphore(self._max_batch),
            shared_slots=self._slots,
        )
        async with aclosing(job.answers()) as answers:
            async for answer in answers:
                yield answer

    def _prepare(self, request: SpeechRequest) -> Prepared:
        """What is spoken of the request's text. Raises `InvalidRequest` where there is nothing to say."""
        return prepare(
            request.text,
            reading=Reading(
                language=request.language,
                markdown=request.markdown,
                fold_signs=request.fold_signs,
                spell_numbers=request.spell_numbers,
                split=request.split_sentences,
            ),
            vocabulary=self._vocabulary,
            spoken=self._spec.text.languages,
            limit=self._spec.semantic.text_context,
            voice=request.voice,
        )

    def _voice(self, request: SpeechRequest) -> Voice | None:
        if request.voice is not None:
            return self._voices.get(request.voice)
        if request.voice_arrays:
            return voice_from_arrays(request.voice_arrays, spec=self._spec)
        return None
