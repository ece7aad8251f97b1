"""What the two ways to speak a piece share: random numbers, the coarse schedule, the passes of a fine window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from bark_serving.arrays import Floats, Ids
from bark_serving.decoding.sampling import Sampling, derive_seed, uniforms
from bark_serving.layouts.coarse import Schedule, schedule
from bark_serving.spec import Spec
from bark_serving.speech.request import SpeechRequest
from bark_serving.speech.stage_client import Stages
from bark_serving.voices import Voice

Emit = Callable[[Floats, bool], None]  #: takes audio [n] and whether it is the last


class Part(IntEnum):
    """What a derived seed is for."""

    SEMANTIC = 0
    COARSE = 1
    FINE = 2


@dataclass(frozen=True)
class Seeds:
    """The random numbers of one prompt: a seed for each of its parts.

    take: numbers of a further attempt, which has its own random numbers; empty for the first one.
    """

    request: SpeechRequest
    index: int  #: of the piece: each has its own random numbers
    take: tuple[int, ...] = ()

    def seed(self, part: Part, *path: int) -> int:
        """A seed for a part; ``path`` numbers its windows and codebooks."""
        return derive_seed(self.request.seed, self.index, part, *path, *self.take)

    def sampling(self, part: Part, temperature: float, *path: int) -> Sampling:
        """How a part samples at a temperature."""
        return Sampling(
            temperature=temperature,
            top_k=self.request.top_k,
            top_p=self.request.top_p,
            seed=self.seed(part, *path),
        )


def without_codes(semantic: Ids, *, spec: Spec) -> Voice:
    """Semantic tokens [n] that no codes were made of."""
    codes = np.empty((spec.encodec.codebooks, 0), np.int32)
    return Voice(semantic, codes[: spec.coarse.codebooks], codes)


def coarse_schedule(semantic: Ids, *, voice: Voice | None, request: SpeechRequest, spec: Spec) -> Schedule:
    """The coarse windows for semantic tokens [n], after a voice."""
    return schedule(
        semantic,
        spec=spec,
        semantic_history=voice.semantic if voice else None,
        coarse_history=voice.coarse if voice else None,
        max_history=request.coarse_history,
        window=request.coarse_window,
    )


async def predict_window(
    window: Ids,
    *,
    fill: int,
    frames: int,
    number: int,
    stages: Stages,
    request: SpeechRequest,
    seeds: Seeds,
    spec: Spec,
) -> None:
    """Predict the missing codebooks of a fine window [codebooks, n] from row ``fill`` on, in turn and in place.

    number: of the window, for its random numbers. frames: how many it completes, for the report.
    """
    size, last = window.shape[1], spec.encodec.codebooks - 1
    for codebook in range(spec.coarse.codebooks, spec.encodec.codebooks):
        predicted = await stages.fine(
            window,
            codebook=codebook,
            temperature=request.fine_temperature,
            uniforms=np.asarray(uniforms(seeds.seed(Part.FINE, number, codebook), 0, size), np.float32),
            # counted at the last pass only: all passes over a window make the same frames
            frames=frames if codebook == last else 0,
        )
        window[codebook, fill:] = predicted[fill:]
