"""The stages as the orchestrator sees them: arrays in, arrays out, whatever runs them below.

`semantic` and `coarse` have the tensor interface of Triton's ``tensorrtllm`` backend; the others are plain networks.
All of them are reached through one `Caller`: Triton's BLS in production, a plain class in tests.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from contextlib import nullcontext
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from bark_serving.arrays import Array, Floats, Ids
from bark_serving.decoding.sampling import Sampling, derive_seed
from bark_serving.errors import StageFailed
from bark_serving.layouts import decoder as decoder_layout
from bark_serving.layouts import semantic as semantic_layout
from bark_serving.spec import Spec
from bark_serving.speech.report import StageTime, Unit
from bark_serving.speech.slots import Slots
from bark_serving.speech.stage_capabilities import StageCapabilities
from bark_tracing import NO_SPAN, Span

#: What a stage makes. The stages that are not listed make frames.
_UNITS: dict[str, Unit] = {"semantic": "tokens", "coarse": "tokens"}


class Caller(Protocol):
    """Calls a model by name."""

    async def call(
        self, model: str, inputs: dict[str, Array], outputs: list[str], *, request_id: str = ""
    ) -> dict[str, Array]:
        """Outputs by name. Raises `bark_serving.errors.ServingError`."""

    def post(self, model: str, inputs: dict[str, Array], outputs: list[str], *, request_id: str) -> None:
        """Call without waiting for an answer. Works in a task that is being cancelled, too."""


@dataclass
class StageTimes:
    """Seconds, calls and amounts (tokens or frames) of each stage, summed over all pieces."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    calls: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    amounts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, stage: str, started: float, amount: int) -> None:
        self.seconds[stage] += time.perf_counter() - started
        self.calls[stage] += 1
        self.amounts[stage] += amount

    def report(self) -> dict[str, StageTime]:
        return {
            stage: StageTime(seconds, self.calls[stage], self.amounts[stage], _UNITS.get(stage, "frames"))
            for stage, seconds in self.seconds.items()
        }


class Stages:
    """The stages as one request calls them, and what they took."""

    def __init__(
        self,
        caller: Caller,
        *,
        spec: Spec,
        embeddings: Floats,
        request_id: str,
        capabilities: StageCapabilities,
        network_slots: Slots | None = None,
    ) -> None:
        """embeddings: [input_vocab, width] of the semantic network, for its prompt table.

        network_slots: of all requests, for the stages that Triton would serve in order of arrival. None: no limit.
        """
        self._caller = caller
        self._spec = spec
        self._embeddings = embeddings
        self._request_id = request_id
        self._network_slots = network_slots
        self._due, self._span = 0.0, NO_SPAN
        self.capabilities = capabilities
        self.times = StageTimes()

    def for_piece(self, due: float, span: Span) -> Stages:
        """These stages for a piece whose audio is due then, in seconds of one clock. Earlier ones are served first.

        span: gets the calls of the piece.
        """
        stages = copy(self)
        stages._due, stages._span = due, span
        return stages

    async def semantic(
        self,
        text_tokens: Ids,
        *,
        history: Ids | None,
        max_tokens: int,
        sampling: Sampling,
        min_eos_p: float,
        piece: int,
        said: Ids | None = None,
        hold: bool = False,
    ) -> Ids:
        """[n] tokenizer ids → [≤ max_tokens] semantic tokens.

        said: [m] tokens of this piece that there are already; the answer goes on from them. Where this project's own
        code runs the stage, slices join to the tokens of one call, and a slice needs no prefill if the one before it
        asked to `hold` its row. TensorRT-LLM reads the prompt of each slice, and draws other numbers for it.
        hold: keep the row for the next slice. If none follows, call `release_semantic`.
        """
        said = np.empty(0, np.int32) if said is None else said
        numbers = self._spec.semantic
        text, past = semantic_layout.prompt_ids(text_tokens, spec=numbers, history=history)
        table = semantic_layout.prompt_table(text, past, embeddings=self._embeddings, spec=numbers)
        extra = {
            "prompt_embedding_table": self.capabilities.encode_table(table)[None],
            "prompt_vocab_size": np.array([[numbers.prefill]], np.int32),
            "end_id": np.array([[numbers.end_token]], np.int32),
        }
        if self.capabilities.own_inputs:
            extra["min_eos_p"] = np.array([[min_eos_p]], np.float32)
            if len(said) or hold:
                extra["first_step"] = np.array([[len(said)]], np.int32)
                extra["hold"] = np.array([[hold]])
        elif len(said):  # its random numbers begin anew with every request
            sampling = replace(sampling, seed=derive_seed(sampling.seed, len(said)))
        tokens = await self._generate(
            "semantic",
            np.concatenate([semantic_layout.virtual_ids(numbers), said]),
            max_tokens=max_tokens,
            sampling=sampling,
            extra=extra,
            part=_semantic_part(piece),
        )
        ends = np.flatnonzero(tokens == numbers.end_token)
        return tokens[: int(ends[0])] if len(ends) else tokens

    def release_semantic(self, piece: int) -> None:
        """Give up the row that the last slice of a piece asked to hold."""
        if not self.capabilities.own_inputs:
            return
        one = np.array([[1]], np.int32)
        stop = {"input_ids": one, "input_lengths": one, "request_output_len": one, "stop": np.array([[True]])}
        request_id = f"{self._request_id}-{_semantic_part(piece)}"
        self._caller.post("semantic", stop, ["output_ids", "sequence_length"], request_id=request_id)

    async def coarse(self, prompt: Ids, *, count: int, sampling: Sampling, piece: int, hold: bool) -> Ids:
        """[n] ids of a window's prompt → [count] coarse ids.

        hold: keep the row, because the next window of this ``piece`` follows at once and may reuse its KV cache.
        """
        extra = {"hold": np.array([[hold]])} if self.capabilities.own_inputs else {}
        tokens = await self._generate(
            "coarse", prompt, max_tokens=count, sampling=sampling, extra=extra, part=f"coarse-{piece}"
        )
        if len(tokens) != count:
            raise StageFailed(f"coarse made {len(tokens)} of the {count} tokens of a window.")
        return tokens

    async def fine(self, codes: Ids, *, codebook: int, temperature: float, uniforms: Floats, frames: int) -> Ids:
        """One pass: [codebooks, window] codes → [window] codes of ``codebook``. frames: how many it completes."""
        inputs = {
            "codes": codes[None],
            "codebook": np.array([[codebook]], np.int32),
            "temperature": np.array([[temperature]], np.float32),
            "uniforms": uniforms[None],
        }
        answer = await self._network("fine", inputs, ["predictions"], amount=frames)
        predictions: Ids = answer["predictions"][0]
        return predictions

    async def decode(self, codes: Ids) -> Floats:
        """[codebooks, frames] → [frames × samples_per_frame] audio."""
        frames = codes.shape[1]
        # The first convolution reflects its input, so it needs at least `kernel` frames. The decoder is causal:
        # appended frames change only what is reflected.
        missing = max(0, self._spec.encodec.kernel - frames)
        padded = np.pad(codes, ((0, 0), (0, missing)), mode="edge")
        answer = await self._network("encodec_decode", {"codes": padded[None]}, ["audio"], amount=frames)
        return answer["audio"].reshape(-1)[: frames * self._spec.encodec.samples_per_frame]

    async def decode_on(self, codes: Ids, done: int, state: Floats) -> tuple[Floats, Floats]:
        """The audio of [codebooks, frames] codes from frame ``done`` on, and the state to go on with.

        state: `layouts.decoder.first_state`, or what the call that ended at ``done`` returned.
        """
        spec = self._spec.encodec
        given, dropped = decoder_layout.chunk_codes(codes, done, spec=spec)
        inputs: dict[str, Array] = {"codes": given[None], "state": state[None]}
        answer = await self._network("encodec_decode", inputs, ["audio", "next_state"], amount=codes.shape[1] - done)
        return answer["audio"].reshape(-1)[dropped * spec.samples_per_frame :], answer["next_state"][0]

    def _spent(self, stage: str, started: float, amount: int) -> None:
        """Note a call that has just ended."""
        self.times.add(stage, started, amount)
        self._span.child(f"bark.{stage}", seconds=time.perf_counter() - started, amount=amount).end()

    async def _network(
        self, stage: str, inputs: dict[str, Array], outputs: list[str], *, amount: int
    ) -> dict[str, Array]:
        """Call a network without state, the piece that is due first before the others."""
        async with self._network_slots.hold(self._due) if self._network_slots else nullcontext():
            started = time.perf_counter()
            answer = await self._caller.call(stage, inputs, outputs)
        self._spent(stage, started, amount)
        return answer

    async def _generate(
        self,
        stage: str,
        prompt: Ids,
        *,
        max_tokens: int,
        sampling: Sampling,
        extra: dict[str, Array],
        part: str,
    ) -> Ids:
        """``part`` makes the request id of a sequence unique; all windows of a piece share one."""
        started = time.perf_counter()
        request_id = f"{self._request_id}-{part}"
        # Greedy is top_k = 1 in this interface: TensorRT-LLM has no temperature 0.
        greedy = sampling.temperature <= 0
        inputs: dict[str, Array] = {
            "input_ids": prompt[None].astype(np.int32),
            "input_lengths": np.array([[len(prompt)]], np.int32),
            "request_output_len": np.array([[max_tokens]], np.int32),
            "temperature": np.array([[1.0 if greedy else sampling.temperature]], np.float32),
            "runtime_top_k": np.array([[1 if greedy else sampling.top_k]], np.int32),
            "runtime_top_p": np.array([[sampling.top_p]], np.float32),
            "seed": np.array([[sampling.seed]], np.uint64),
            **({"due": np.array([[self._due]], np.float64)} if self.capabilities.own_inputs else {}),
            **extra,
        }
        outputs = ["output_ids", "sequence_length"]
        try:
            answer = await self._caller.call(stage, inputs, outputs, request_id=request_id)
        except asyncio.CancelledError:
            stop = {**inputs, "stop": np.array([[True]])}
            self._caller.post(stage, stop, outputs, request_id=request_id)
            raise
        tokens = answer["output_ids"].reshape(-1)[: int(answer["sequence_length"].reshape(-1)[0])]
        self._spent(stage, started, len(tokens))
        return tokens.astype(np.int32)


def _semantic_part(piece: int) -> str:
    return f"semantic-{piece}"
