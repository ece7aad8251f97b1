"""The orchestrator over stages that are plain functions, for tests of the folder `speech`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bark_serving.layouts.decoder import context_frames, state_shape
from bark_serving.spec import Spec
from bark_serving.speech.job import Answer
from bark_serving.speech.orchestrator import Orchestrator
from bark_serving.speech.report import SpeechSummary
from bark_serving.speech.request import SpeechRequest, parse
from bark_serving.speech.stage_capabilities import StageCapabilities
from bark_serving.speech.text import Vocabulary
from bark_serving.voices import VoiceLibrary

SPEC = Spec(name="released", guard=None)
EMBEDDINGS = np.zeros((129_600, 2), np.float32)
THREE = "This sentence is the first one. Here the second sentence begins. The third one is the last."


class Stages:
    """Deterministic stages: tokens depend on the seed, audio on the codes; semantic makes at most 30 tokens."""

    def __init__(self, lengths: dict[int, int] | None = None) -> None:
        self.lengths = lengths or {}
        self.seen: list[tuple[str, dict[str, np.ndarray]]] = []
        self.posted: list[tuple[str, str]] = []
        self.before: Callable[[str, dict[str, np.ndarray]], Any] = lambda _model, _inputs: None
        self.running: set[str] = set()

    async def call(
        self, model: str, inputs: dict[str, np.ndarray], outputs: list[str], *, request_id: str = ""
    ) -> dict[str, np.ndarray]:
        self.seen.append((model, inputs))
        self.running.add(request_id)
        waiting = self.before(model, inputs)
        if waiting is not None:
            await waiting
        else:
            await asyncio.sleep(0)
        self.running.discard(request_id)
        return getattr(self, model)(inputs)

    def post(self, model: str, inputs: dict[str, np.ndarray], outputs: list[str], *, request_id: str) -> None:
        assert inputs["stop"].item() is True
        self.posted.append((model, request_id))

    def semantic(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return self._tokens(self.slice_of(np.arange(30), inputs))

    @staticmethod
    def slice_of(steps: np.ndarray, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Tokens that depend on the seed and the step, for the steps that are asked for."""
        first = int(inputs["first_step"].item()) if "first_step" in inputs else 0
        tokens = np.random.default_rng(int(inputs["seed"].item())).integers(0, 10_000, len(steps))
        return tokens[first : first + int(inputs["request_output_len"].item())]

    def coarse(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        count = int(inputs["request_output_len"].item())
        rng = np.random.default_rng([int(inputs["seed"].item()), int(inputs["input_ids"].sum())])
        ids = rng.integers(0, 1024, count) + 10_000
        ids[1::2] += 1024
        return self._tokens(ids)

    def fine(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        mixed = inputs["codes"].sum(axis=1) + inputs["codebook"] + (inputs["uniforms"] * 1024).astype(int)
        return {"predictions": (mixed % 1024).astype(np.int32)}

    def encodec_decode(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        sums = inputs["codes"].sum(axis=1).astype(np.float32)
        before = inputs["state"].reshape(-1)[:1] if "state" in inputs else np.zeros(1, np.float32)
        if "state" in inputs:
            sums = sums[:, SPEC.encodec.kernel - 1 :]
        totals = (before + np.cumsum(sums, axis=-1)) % 1000  # causal, like the decoder
        state = np.zeros((1, *state_shape(SPEC.encodec)), np.float32)
        state[0, 0, 0, 0] = totals[0, -1 - context_frames(SPEC.encodec)]
        return {"audio": np.repeat(totals / 1000, 320, axis=-1).astype(np.float32), "next_state": state}

    @staticmethod
    def _tokens(ids: np.ndarray) -> dict[str, np.ndarray]:
        return {"output_ids": ids.astype(np.int32).reshape(1, 1, -1), "sequence_length": np.array([[len(ids)]])}


def request_of(text: str, **inputs: Any) -> SpeechRequest:
    """A request of our client, which asks for a stream."""
    return parse({"text": text, "stream": True, **inputs}, spec=SPEC, capabilities=StageCapabilities())


def speak(stages: Stages, tmp_path: Path, text: str = THREE, *, spec: Spec = SPEC, **inputs: Any) -> list[Answer]:
    async def collect() -> list[Answer]:
        orchestrator = make(stages, tmp_path, spec=spec)
        request = request_of(text, **{"seed": 1, **inputs})
        return [answer async for answer in orchestrator.speak(request, request_id="r")]

    return asyncio.run(collect())


class Words:
    """A vocabulary that has one token for each word."""

    max_word = 100
    unknown = None

    def __init__(self) -> None:
        self.read: list[str] = []

    def tokenise(self, text: str) -> list[int]:
        self.read.append(text)
        return list(range(len(text.split())))

    def knows(self, text: str) -> bool:
        return True


def make(
    stages: Stages,
    tmp_path: Path,
    *,
    spec: Spec = SPEC,
    max_batch: int = 4,
    vocabulary: Vocabulary | None = None,
    capabilities: StageCapabilities | None = None,
) -> Orchestrator:
    return Orchestrator(
        stages,
        spec=spec,
        checkpoint="tiny 0123456789ab",
        embeddings=EMBEDDINGS,
        vocabulary=vocabulary or Words(),
        voices=VoiceLibrary([tmp_path], spec=spec),
        max_batch=max_batch,
        capabilities=capabilities or StageCapabilities(),
    )


def summary_of(answers: list[Answer]) -> SpeechSummary:
    summary = answers[-1].report.summary
    assert summary is not None
    return summary


def audio_of(answers: list[Answer]) -> np.ndarray:
    return np.concatenate([answer.audio for answer in answers])
