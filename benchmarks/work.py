"""The work to measure: one utterance of fixed length, as a whole or one stage at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bark_serving.arrays import Array, Floats, Ids
from bark_serving.bundle import Bundle, Vocabulary, mapped
from bark_serving.layouts import coarse as coarse_layout
from bark_serving.spec import Spec
from bark_serving.speech.prompt import PromptRun
from bark_serving.speech.request import parse
from bark_serving.speech.stage_capabilities import StageCapabilities
from bark_serving.speech.stage_client import Caller, Stages
from bark_serving.voices import Voice
from benchmarks.errors import BenchmarkError

TEXT = "The quick brown fox jumps over the lazy dog, and nobody in the whole wide valley seems to mind it at all."
SEMANTIC_TOKENS = 499  #: 10 s of speech, as in the article; they lead to 1 500 coarse tokens and 750 frames
CLIP_SECONDS = 10.0
ENDLESS = 1.0  #: as min_eos_p: no probability exceeds it, so that only a sampled end token ends speech


@dataclass(frozen=True, eq=False)
class Work:
    """The inputs of every stage: random tokens in place of the output of the stage before it."""

    text: str
    semantic: Ids  #: [n] input of coarse; its length is the work of semantic
    coarse: Ids  #: [coarse codebooks, frames] input of fine
    fine: Ids  #: [codebooks, frames] input of the decoder
    clip: Floats  #: [samples] input of HuBERT, at HuBERT's rate

    @property
    def frames(self) -> int:
        return int(self.fine.shape[1])

    @property
    def coarse_tokens(self) -> int:
        return int(self.coarse.size)

    def seconds(self, spec: Spec) -> float:
        """Seconds of speech."""
        return self.frames / spec.encodec.frame_rate_hz


def make_work(spec: Spec, *, semantic_tokens: int = SEMANTIC_TOKENS, scale: float = 1.0, seed: int = 0) -> Work:
    """An utterance of ``scale × semantic_tokens`` semantic tokens, at least 4. The other stages' lengths match."""
    rng = np.random.default_rng(seed)
    count = max(4, round(semantic_tokens * scale))
    if count > spec.semantic.max_steps:
        raise BenchmarkError(
            f"{count} semantic tokens are too many for one sentence (at most {spec.semantic.max_steps}).",
            remedy="Give a smaller --tokens-scale.",
        )
    frames = coarse_layout.step_count(count, spec=spec) // spec.coarse.codebooks
    fine = rng.integers(0, spec.encodec.codebook_size, (spec.encodec.codebooks, frames), np.int32)
    rate = spec.hubert.sample_rate if spec.hubert else 16_000
    return Work(
        text=TEXT,
        semantic=rng.integers(0, spec.semantic.vocab, count, np.int32),
        coarse=fine[: spec.coarse.codebooks].copy(),
        fine=fine,
        clip=(0.1 * rng.standard_normal(max(1_000, int(CLIP_SECONDS * scale * rate)))).astype(np.float32),
    )


class SomeStages:
    """A `Caller` that runs some stages. For the others it returns the tokens of a `Work` at once."""

    def __init__(self, caller: Caller, stages: Collection[str], *, work: Work, spec: Spec) -> None:
        self._caller, self._stages, self._work, self._spec = caller, stages, work, spec
        self._coarse_sent = 0  #: coarse tokens returned so far

    async def call(
        self, model: str, inputs: dict[str, Array], outputs: list[str], *, request_id: str = ""
    ) -> dict[str, Array]:
        if model in self._stages:
            return await self._caller.call(model, inputs, outputs, request_id=request_id)
        if model == "semantic":
            return _tokens(self._work.semantic)
        if model == "coarse":
            count = int(inputs["request_output_len"].item())
            flat = coarse_layout.flatten(self._work.coarse, spec=self._spec)[self._coarse_sent :][:count]
            self._coarse_sent += count
            return _tokens(flat)
        if model == "fine":
            predictions = np.zeros((1, inputs["codes"].shape[-1]), np.int32)
            codes = self._work.fine[int(inputs["codebook"].item())][: predictions.shape[1]]
            predictions[0, : len(codes)] = codes
            return {"predictions": predictions}
        samples = inputs["codes"].shape[-1] * self._spec.encodec.samples_per_frame
        return {"audio": np.zeros((1, samples), np.float32)}

    def post(self, model: str, inputs: dict[str, Array], outputs: list[str], *, request_id: str) -> None:
        self._caller.post(model, inputs, outputs, request_id=request_id)


def _tokens(ids: Ids) -> dict[str, Array]:
    return {"output_ids": ids.reshape(1, 1, -1), "sequence_length": np.array([[len(ids)]], np.int32)}


class Speaker:
    """Speaks a `Work` with the serving code's own `PromptRun`, over any `Caller`."""

    def __init__(self, bundle: Bundle, *, options: Mapping[str, Any] | None = None) -> None:
        self.spec = bundle.spec
        self._options = dict(options or {})
        self._embeddings = mapped(bundle.weights("semantic"), "token_embedding.weight")
        self._tokenise = Vocabulary(bundle.tokenizer).tokenise
        self._calls = 0

    def request_inputs(self, work: Work, *, seed: int) -> dict[str, Any]:
        """Inputs of the `bark` model for this work."""
        return {
            "text": work.text,
            "seed": seed,
            "min_eos_p": ENDLESS,
            # the semantic stage makes int(duration × rate) + 1 tokens
            "max_duration": (len(work.semantic) - 0.5) / self.spec.semantic.rate_hz,
            **self._options,
        }

    def stage(self, caller: Caller, stage: str, work: Work, *, seed: int = 0) -> float:
        """Seconds that one stage takes. Raises `BenchmarkError` if it generates fewer tokens than the work requires."""
        if stage == "hubert":
            return asyncio.run(_timed(caller, stage, {"audio": work.clip[None]}, ["tokens"]))
        _, stages = self._run(SomeStages(caller, [stage], work=work, spec=self.spec), work, seed=seed)
        check_amount(stage, stages.times.amounts[stage], work)
        return stages.times.seconds[stage]

    def speak(self, caller: Caller, work: Work, *, seed: int = 0) -> tuple[Voice, Floats]:
        """The tokens and the audio of the whole utterance. It is shorter than the work if speech ends by itself."""
        audio: list[Floats] = []
        tokens, _ = self._run(caller, work, seed=seed, audio=audio)
        return tokens, np.concatenate(audio)

    def _run(self, caller: Caller, work: Work, *, seed: int, audio: list[Floats] | None = None) -> tuple[Voice, Stages]:
        self._calls += 1
        capabilities = StageCapabilities()
        stages = Stages(
            caller,
            spec=self.spec,
            embeddings=self._embeddings,
            request_id=f"benchmark-{self._calls}",
            capabilities=capabilities,
        )
        request = parse(self.request_inputs(work, seed=seed), spec=self.spec, capabilities=capabilities)
        run = PromptRun(stages, request, spec=self.spec, index=0, voice=None)
        tokens = np.array(self._tokenise(work.text), np.int32)

        def emit(samples: Floats, last: bool) -> None:
            if audio is not None:
                audio.append(samples)

        async def speak() -> Voice:
            semantic, _ = await run.semantic(tokens)
            return await run.speak(semantic, emit)

        return asyncio.run(speak()), stages


async def _timed(caller: Caller, stage: str, inputs: dict[str, Array], outputs: list[str]) -> float:
    started = time.perf_counter()
    await caller.call(stage, inputs, outputs)
    return time.perf_counter() - started


def check_amount(stage: str, count: int, work: Work) -> None:
    """Raise `BenchmarkError` if a stage generated another number of tokens than the work requires."""
    required = {"semantic": len(work.semantic), "coarse": work.coarse_tokens}.get(stage)
    if required is not None and count != required:
        raise BenchmarkError(
            f"The {stage} stage generated {count} tokens instead of {required}, because an end token was sampled.",
            remedy="Use --size instead of --bundle: its random weights never end speech by themselves.",
        )
