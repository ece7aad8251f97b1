"""Which stage loses words: recordings are spoken again from their own tokens, by the stages that follow."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

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


def tokens_of(clips: Mapping[str, Sequence[Clip]], caller: Caller, spec: Spec) -> Mapping[str, Sequence[Work]]:
    """The tokens of recordings: coarse ones from the codec's encoder, semantic ones from HuBERT, as for a clone."""
    return {name: [_tokens(clip, caller, spec) for clip in said] for name, said in clips.items()}


def spoken_from(
    stage: str, tokens: Mapping[str, Sequence[Work]], caller: Caller, bundle: Bundle
) -> dict[str, list[Clip]]:
    """Each recording, spoken without a voice from the tokens that `stage` should have made for it."""
    speaker, spec = Speaker(bundle), bundle.spec

    def again(seed: int, work: Work) -> Clip:
        _, audio = speaker.speak(SomeStages(caller, LAST_STAGES[stage], work=work, spec=spec), work, seed=seed)
        return Clip(work.text, audio, spec.encodec.sample_rate)

    return {name: [again(seed, work) for seed, work in enumerate(said)] for name, said in tokens.items()}


def _tokens(clip: Clip, caller: Caller, spec: Spec) -> Work:
    """The tokens of all frames of a recording. Without HuBERT, the semantic ones are zeros."""
    codec, hubert = spec.encodec, spec.hubert
    samples = np.asarray(soxr.resample(clip.samples, clip.rate, codec.sample_rate), np.float32)
    codes = _one(caller, "encodec_encode", np.pad(samples, (0, -len(samples) % codec.samples_per_frame)), "codes")
    count = round(codes.shape[1] / spec.semantic_to_coarse * spec.coarse.codebooks)
    semantic = np.zeros(count, np.int32)
    if hubert:
        for_hubert = np.asarray(soxr.resample(samples, codec.sample_rate, hubert.sample_rate), np.float32)
        heard = _one(caller, "hubert", for_hubert, "tokens")
        semantic = np.pad(heard, (0, max(0, count - len(heard))), mode="edge")[:count]
    return Work(clip.text, semantic=semantic, coarse=codes[: spec.coarse.codebooks], fine=codes, clip=samples)


def _one(caller: Caller, stage: str, samples: Array, output: str) -> Ids:
    answer = asyncio.run(caller.call(stage, {"audio": samples[None]}, [output]))
    tokens: Ids = answer[output][0].astype(np.int32)
    return tokens
