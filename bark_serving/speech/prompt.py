"""One prompt through the stages: semantic, coarse windows, fine windows, audio as soon as it is final."""

from __future__ import annotations

import asyncio

import numpy as np

from bark_serving.arrays import Ids
from bark_serving.layouts import coarse as coarse_layout
from bark_serving.layouts import fine as fine_layout
from bark_serving.spec import Spec
from bark_serving.speech.low_latency import ChunkedPiece, SemanticSlices
from bark_serving.speech.parts import Emit, Part, Seeds, coarse_schedule, predict_window, without_codes
from bark_serving.speech.request import SpeechRequest
from bark_serving.speech.stage_client import Stages
from bark_serving.voices import Voice


def max_semantic_tokens(request: SpeechRequest, *, spec: Spec) -> int:
    """At which number of semantic tokens a piece is cut."""
    if request.max_duration is None:
        return spec.semantic.max_steps
    return min(spec.semantic.max_steps, int(request.max_duration * spec.semantic.rate_hz) + 1)


class PromptRun:
    """Takes one prompt through the stages: a piece, or a part of it where a take speaks it in parts.

    index: of the piece. take: see `Seeds`.
    """

    def __init__(
        self,
        stages: Stages,
        request: SpeechRequest,
        *,
        spec: Spec,
        index: int,
        voice: Voice | None,
        take: tuple[int, ...] = (),
    ) -> None:
        self._stages = stages
        self._request = request
        self._spec = spec
        self._index = index
        self._voice = voice
        self._seeds = Seeds(request, index, take)

    async def semantic(self, text_tokens: Ids) -> tuple[Ids, bool]:
        """[n] tokenizer ids → semantic tokens, and whether speech ended by itself."""
        max_tokens = max_semantic_tokens(self._request, spec=self._spec)
        tokens = await self._stages.semantic(
            text_tokens,
            history=self._voice.semantic if self._voice else None,
            max_tokens=max_tokens,
            sampling=self._seeds.sampling(Part.SEMANTIC, self._request.semantic_temperature),
            min_eos_p=self._request.min_eos_p,
            piece=self._index,
        )
        return tokens, len(tokens) < max_tokens

    async def speak(self, semantic: Ids, emit: Emit) -> Voice:
        """Speak semantic tokens; returns all tokens. Calls ``emit(audio, last)`` in order with final audio [n]."""
        frames = coarse_layout.step_count(len(semantic), spec=self._spec) // self._spec.coarse.codebooks
        if frames == 0:
            emit(np.empty(0, np.float32), True)
            return without_codes(semantic, spec=self._spec)
        generated: asyncio.Queue[Ids] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._coarse(semantic, generated))
            fine = group.create_task(self._fine(frames, generated, emit))
        codes = fine.result()
        return Voice(semantic, codes[: self._spec.coarse.codebooks], codes)

    async def stream(self, text_tokens: Ids, emit: Emit) -> tuple[Ids, bool, Voice]:
        """`semantic` and `speak` in one, chunk by chunk and with the stages overlapping: sooner, and not exact."""
        max_tokens = max_semantic_tokens(self._request, spec=self._spec)
        slices = SemanticSlices(
            self._stages,
            self._request,
            text_tokens,
            history=self._voice.semantic if self._voice else None,
            seeds=self._seeds,
            max_tokens=max_tokens,
            piece=self._index,
        )
        piece = ChunkedPiece(
            self._stages,
            self._request,
            slices,
            spec=self._spec,
            index=self._index,
            voice=self._voice,
            seeds=self._seeds,
        )
        said = await piece.speak(emit)
        return slices.tokens, len(slices.tokens) < max_tokens, said

    async def _coarse(self, semantic: Ids, generated: asyncio.Queue[Ids]) -> None:
        """After every window, put all coarse codes so far [coarse codebooks, frames] into ``generated``."""
        plan = coarse_schedule(semantic, voice=self._voice, request=self._request, spec=self._spec)
        ids = np.empty(0, np.int32)
        for number, start in enumerate(plan.starts):
            tokens = await self._stages.coarse(
                plan.prompt(start, ids),
                count=plan.length(start),
                sampling=self._seeds.sampling(Part.COARSE, self._request.coarse_temperature, number),
                piece=self._index,
                hold=start != plan.starts[-1],
            )
            ids = np.concatenate([ids, tokens])
            whole = len(ids) - len(ids) % self._spec.coarse.codebooks
            generated.put_nowait(coarse_layout.unflatten(ids[:whole], spec=self._spec))

    async def _fine(self, frames: int, generated: asyncio.Queue[Ids], emit: Emit) -> Ids:
        """[codebooks, frames] codes. Emits audio after each window: the frames that no later window changes."""
        history = self._voice.fine if self._voice else None
        padding = self._request.fine_padding
        codes, past = fine_layout.buffer(frames, spec=self._spec, history=history, padding=padding)
        windows = fine_layout.windows(frames, spec=self._spec, history_frames=past, padding=padding)
        received = spoken = 0  # frames
        for number, window in enumerate(windows):
            while received < window.needs:
                coarse = await generated.get()
                codes[: len(coarse), past + received : past + coarse.shape[1]] = coarse[:, received:]
                received = coarse.shape[1]
            rows = codes[:, window.start : window.start + self._spec.fine.window]
            await predict_window(
                rows,
                fill=window.fill,
                frames=rows.shape[1] - window.fill,
                number=number,
                stages=self._stages,
                request=self._request,
                seeds=self._seeds,
                spec=self._spec,
            )
            final = codes[:, past : past + window.final]
            # Decodes from the first frame again. The decoder is causal, so the earlier samples come out the same, and
            # no state must be kept. A piece has at most three windows.
            audio = await self._stages.decode(final)
            start = spoken * self._spec.encodec.samples_per_frame
            spoken = window.final
            emit(audio[start:], window is windows[-1])
        return codes[:, past : past + frames]
