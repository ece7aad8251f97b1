"""From a request to audio: what all requests of one server share.

One asyncio loop runs all requests; the stages below are reached through a `stage_client.Caller`. Closing the iterator
of `Orchestrator.speak`, or cancelling the task that iterates it, stops every stage call in flight.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from bark_serving.arrays import Floats
from bark_serving.spec import Spec
from bark_serving.speech.job import Answer, SpeechJob
from bark_serving.speech.request import SpeechRequest, longest_speech_s
from bark_serving.speech.slots import Slots
from bark_serving.speech.stage_capabilities import StageCapabilities
from bark_serving.speech.stage_client import Caller, Stages
from bark_serving.speech.text import Prepared, Reading, Vocabulary, prepare
from bark_serving.speech.text.planning import Plan
from bark_serving.voices import Voice, VoiceLibrary, voice_from_arrays
from bark_tracing import NO_SPAN, Span

#: Pieces under way per row of the GPT stages: some are in the fine stage while others fill the rows.
_PIECES_PER_ROW = 2
#: Calls under way where a network computes one request after the other: one runs, and others are there when it ends.
#: With 2, twelve sentences took 9 % longer.
_CALLS_ONE_BY_ONE = 4


class Orchestrator:
    """Speaks requests for one checkpoint.

    checkpoint: its name and hash, for the reports.

    embeddings: [input_vocab, width] of the semantic network. max_batch: the rows of a GPT stage. One request has at
    most that many pieces under way, and all requests together at most twice as many; of the others, the one whose audio
    is due first begins next. A piece that has begun must never wait for one that has not: it holds a row of the coarse
    stage between its windows.
    """

    def __init__(
        self,
        caller: Caller,
        *,
        spec: Spec,
        checkpoint: str,
        embeddings: Floats,
        vocabulary: Vocabulary,
        voices: VoiceLibrary,
        max_batch: int,
        capabilities: StageCapabilities,
    ) -> None:
        self._caller = caller
        self._spec = spec
        self._checkpoint = checkpoint
        self._embeddings = embeddings
        self._vocabulary = vocabulary
        self._voices = voices
        self._max_batch = max_batch
        self._slots = Slots(_PIECES_PER_ROW * max_batch)
        self._network_slots = Slots(_CALLS_ONE_BY_ONE if capabilities.one_by_one else _PIECES_PER_ROW * max_batch)
        self._capabilities = capabilities

    async def speak(
        self, request: SpeechRequest, *, request_id: str, span: Span = NO_SPAN
    ) -> AsyncGenerator[Answer, None]:
        """Answers in order; only the last one's report has a summary. Raises `bark_serving.errors.ServingError`."""
        # On threads: a long text or a voice on a network volume takes a while, and must not stop other requests.
        text = await asyncio.to_thread(self._prepare, request)
        voices = await asyncio.to_thread(self._read_voices, request, text.voices)
        job = SpeechJob(
            request,
            spec=self._spec,
            checkpoint=self._checkpoint,
            stages=Stages(
                self._caller,
                spec=self._spec,
                embeddings=self._embeddings,
                request_id=request_id,
                capabilities=self._capabilities,
                network_slots=self._network_slots,
            ),
            tokenise=self._vocabulary.tokenise,
            text=text,
            voices=voices,
            own_slots=Slots(self._max_batch),
            shared_slots=self._slots,
            span=span,
        )
        async with aclosing(job.answers()) as answers:
            async for answer in answers:
                yield answer

    def _prepare(self, request: SpeechRequest) -> Prepared:
        """What is spoken of the request's text. Raises `InvalidRequest`: there is nothing to say, or a tag is wrong."""
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
            how=Plan(
                tokens=self._spec.semantic.text_context,
                longest_s=longest_speech_s(self._spec),
                pace=self._spec.text.pace,
                piece_duration_s=request.piece_duration,
                sentence_pause_s=request.sentence_pause,
                paragraph_pause_s=request.paragraph_pause,
            ),
            voice=request.voice,
        )

    def _read_voices(self, request: SpeechRequest, named: Sequence[str]) -> dict[str | None, Voice | None]:
        """The voices that the text names, and as None the request's own. Raises `InvalidRequest` for an unknown one."""
        own: Voice | None = None
        if request.voice is not None:
            own = self._voices.get(request.voice)
        elif request.voice_arrays:
            own = voice_from_arrays(request.voice_arrays, spec=self._spec)
        return {None: own, **{name: self._voices.get(name) for name in named}}
