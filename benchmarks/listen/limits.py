"""Which stage loses words: recordings are spoken again from their own tokens, by the stages that follow."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import soxr

from bark_serving.arrays import Array, Ids
from bark_serving.bundle import Bundle
from bark_serving.spec import Spec
from bark_serving.speech.stage_client import Caller
from benchmarks.work import SomeStages, Speaker, Work
from reference.recordings import Clip

#: Whose tokens are the recordings' → the stages that run after it, on these tokens.
LAST_STAGES: Mapping[str, Sequence[str]] = {
    "coarse": ("fine", "encodec_decode"),
    "semantic": ("coarse", "fine", "encodec_decode"),
}


def spoken_from(
    stage: str, clips: Mapping[str, Sequence[Clip]], caller: Caller, bundle: Bundle
) -> dict[str, list[Clip]]:
    """Each recording, spoken without a voice from the tokens that `stage` should have made for it.

    Coarse tokens come from the codec's encoder. Semantic tokens come from HuBERT, as for a clone.
    """
    speaker, spec = Speaker(bundle), bundle.spec

    def again(seed: int, clip: Clip) -> Clip:
        work = tokens_of(clip, caller, spec)
        _, audio = speaker.speak(SomeStages(caller, LAST_STAGES[stage], work=work, spec=spec), work, seed=seed)
        return replace(clip, samples=audio, rate=spec.encodec.sample_rate)

    return {name: [again(seed, clip) for seed, clip in enumerate(said)] for name, said in clips.items()}


def tokens_of(clip: Clip, caller: Caller, spec: Spec) -> Work:
    """The tokens of a recording: of all its frames."""
    codec, hubert = spec.encodec, spec.hubert
    samples = np.asarray(soxr.resample(clip.samples, clip.rate, codec.sample_rate), np.float32)
    codes = _one(caller, "encodec_encode", np.pad(samples, (0, -len(samples) % codec.samples_per_frame)), "codes")
    count = round(codes.shape[1] / spec.semantic_to_coarse * spec.coarse.codebooks)
    heard = np.zeros(1, np.int32)
    if hubert:
        heard = _one(
            caller,
            "hubert",
            np.asarray(soxr.resample(samples, codec.sample_rate, hubert.sample_rate), np.float32),
            "tokens",
        )
    semantic = np.pad(heard, (0, max(0, count - len(heard))), mode="edge")[:count]
    return Work(clip.text, semantic=semantic, coarse=codes[: spec.coarse.codebooks], fine=codes, clip=samples)


def _one(caller: Caller, stage: str, samples: Array, output: str) -> Ids:
    answer = asyncio.run(caller.call(stage, {"audio": samples[None]}, [output]))
    tokens: Ids = answer[output][0].astype(np.int32)
    return tokens
