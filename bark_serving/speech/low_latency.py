"""One piece with its stages overlapping: audio leaves chunk by chunk while the piece is still being made.

The semantic stage makes each chunk's tokens only when the chunk before it has its coarse codes: whatever would run
earlier would take the processor from audio that is needed sooner.
"""

from __future__ import annotations

import asyncio

import numpy as np

from bark_serving.arrays import Floats, Ids
from bark_serving.layouts import coarse as coarse_layout
from bark_serving.layouts import decoder as decoder_layout
from bark_serving.layouts import fine as fine_layout
from bark_serving.spec import EncodecSpec, Spec
from bark_serving.speech.chunks import Chunk, ChunkPlan
from bark_serving.speech.parts import Emit, Part, Seeds, coarse_schedule, predict_window
from bark_serving.speech.request import SpeechRequest
from bark_serving.speech.stage_client import Stages
from bark_serving.voices import Voice


class SemanticSlices:
    """The semantic tokens of one piece, made as far as they are needed."""

    def __init__(
        self,
        stages: Stages,
        request: SpeechRequest,
        text_tokens: Ids,
        *,
        history: Ids | None,
        seeds: Seeds,
        max_tokens: int,
        piece: int,
    ) -> None:
        self.tokens = np.empty(0, np.int32)  #: [n] so far
        self.ended = False  #: no more will come
        self._stages = stages
        self._request = request
        self._text_tokens = text_tokens
        self._history = history
        self._sampling = seeds.sampling(Part.SEMANTIC, request.semantic_temperature)
        self._max_tokens = max_tokens
        self._piece = piece
        self._held = False

    async def grow(self, count: int) -> None:
        """Make tokens until there are ``count`` of them, or until speech has ended."""
        until = min(count, self._max_tokens)
        missing = until - len(self.tokens)
        if self.ended or missing <= 0:
            return
        self._held = until < self._max_tokens
        new = await self._stages.semantic(
            self._text_tokens,
            history=self._history,
            max_tokens=missing,
            sampling=self._sampling,
            min_eos_p=self._request.min_eos_p,
            piece=self._piece,
            said=self.tokens,
            hold=self._held,
        )
        self.tokens = np.concatenate([self.tokens, new])
        self.ended = len(new) < missing or until == self._max_tokens
        self._held = self._held and not self.ended

    def close(self) -> None:
        """Give up the row that waits for the next slice, if there is one."""
        if self._held:
            self._stages.release_semantic(self._piece)


class ChunkedPiece:
    """Speaks one piece chunk by chunk. ``index`` is its number, ``seeds`` its random numbers."""

    def __init__(
        self,
        stages: Stages,
        request: SpeechRequest,
        semantic: SemanticSlices,
        *,
        spec: Spec,
        index: int,
        voice: Voice | None,
        seeds: Seeds,
    ) -> None:
        self._stages = stages
        self._request = request
        self._semantic = semantic
        self._spec = spec
        self._index = index
        self._voice = voice
        self._seeds = seeds
        self._plan = ChunkPlan(spec, request.coarse_window)
        self._heard = asyncio.Event()  # the first audio has left

    async def speak(self, emit: Emit) -> Voice:
        """All tokens. Calls ``emit(audio, last)`` in order."""
        made: asyncio.Queue[tuple[Chunk, Ids]] = asyncio.Queue()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._make_coarse(made))
                fine = group.create_task(self._make_audio(made, emit))
        finally:
            self._semantic.close()
        codes = fine.result()
        return Voice(self._semantic.tokens, codes[: self._spec.coarse.codebooks], codes)

    async def _make_coarse(self, made: asyncio.Queue[tuple[Chunk, Ids]]) -> None:
        """Put each chunk and all coarse codes so far [coarse codebooks, frames] into ``made``."""
        ids = np.empty(0, np.int32)
        windows = 0
        for end in self._plan.ends():
            await self._semantic.grow(self._plan.semantic_tokens(end))
            semantic = self._semantic.tokens
            chunk = self._plan.chunk(end, semantic=len(semantic), ended=self._semantic.ended)
            schedule = coarse_schedule(semantic, voice=self._voice, request=self._request, spec=self._spec)
            steps = chunk.frames * self._spec.coarse.codebooks
            while len(ids) < steps:
                new = await self._stages.coarse(
                    schedule.prompt(len(ids), ids),
                    count=min(self._request.coarse_window, steps - len(ids)),
                    sampling=self._seeds.sampling(Part.COARSE, self._request.coarse_temperature, windows),
                    piece=self._index,
                    hold=False,  # the next window sees more semantic tokens: no cache of this one helps it
                )
                ids = np.concatenate([ids, new])
                windows += 1
            made.put_nowait((chunk, coarse_layout.unflatten(ids, spec=self._spec)))
            if chunk.last:
                return
            await self._heard.wait()

    async def _make_audio(self, made: asyncio.Queue[tuple[Chunk, Ids]], emit: Emit) -> Ids:
        """[codebooks, frames] codes. Emits the audio of each chunk."""
        history = self._voice.fine if self._voice else None
        past, _ = fine_layout.buffer(0, spec=self._spec, history=history, padding=False)
        codes = past[:, max(0, past.shape[1] - self._plan.past) :]
        before = codes.shape[1]  # frames of the voice
        decoder = _Decoder(self._stages, self._spec.encodec)
        number, last = 0, False
        while not last:
            chunk, coarse = await made.get()
            done, last = codes.shape[1] - before, chunk.last
            codes = await self._fine(codes, coarse[:, done:], new=chunk.audible - done, number=number)
            emit(await decoder.audio(codes[:, before:], last=last), last)
            self._heard.set()
            number += 1
        return codes[:, before:]

    async def _fine(self, codes: Ids, coarse: Ids, *, new: int, number: int) -> Ids:
        """``codes`` [codebooks, n] and ``new`` frames more, from ``coarse`` [coarse codebooks, at least new]."""
        if new == 0:
            return codes
        past = codes[:, max(0, codes.shape[1] - self._plan.past) :]
        window, _ = fine_layout.buffer(
            coarse.shape[1], spec=self._spec, history=past, padding=self._stages.capabilities.whole_windows
        )
        fill = past.shape[1]
        window[: len(coarse), fill : fill + coarse.shape[1]] = coarse
        await predict_window(
            window,
            fill=fill,
            frames=new,
            number=number,
            stages=self._stages,
            request=self._request,
            seeds=self._seeds,
            spec=self._spec,
        )
        return np.concatenate([codes, window[:, fill : fill + new]], axis=1)


class _Decoder:
    """Decodes a piece chunk by chunk. A decoder without state decodes all of it each time."""

    def __init__(self, stages: Stages, spec: EncodecSpec) -> None:
        self._stages = stages
        self._spec = spec
        self._state = decoder_layout.first_state(spec)
        self._done = 0

    async def audio(self, codes: Ids, *, last: bool) -> Floats:
        """The audio of the new frames of [codebooks, frames] codes."""
        done, self._done = self._done, codes.shape[1]
        if done == codes.shape[1]:
            return np.empty(0, np.float32)
        whole = done == 0 and last
        if whole or not self._stages.capabilities.decoder_state:
            audio = await self._stages.decode(codes)
            return audio[done * self._spec.samples_per_frame :]
        audio, self._state = await self._stages.decode_on(codes, done, self._state)
        return audio
