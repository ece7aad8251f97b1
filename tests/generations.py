"""Sequences for the decode loop, and their tokens, for tests that compare two ways to run a GPT."""

from __future__ import annotations

import asyncio

import numpy as np

from bark_serving.arrays import Ids
from bark_serving.decoding.loop import DecodeLoop
from bark_serving.decoding.sampler import Runtime, Sampler
from bark_serving.decoding.sampling import Sampling
from bark_serving.decoding.sequence import Generation
from bark_serving.layouts import coarse as coarse_layout
from bark_serving.spec import Spec
from bark_serving.speech.stage_client import Stages

GREEDY = Sampling(temperature=0.0)
HOWS = (Sampling(temperature=0.7), Sampling(temperature=0.9, top_k=40, top_p=0.9), Sampling())


def generations(runtime: Runtime, count: int, *, first: Sampling) -> list[Generation]:
    """Prompts of different lengths, which end at different steps. first: how the first of four is sampled."""
    hows = (first, *HOWS)
    made = []
    for number in range(count):
        ids = np.random.default_rng(number).integers(0, 10_000, 20 + 60 * number).astype(np.int32)
        how = hows[number % len(hows)]
        made.append(
            Generation(
                prompt=runtime.embed(ids),
                ids=ids,
                max_tokens=30 + 7 * number,
                sampling=Sampling(how.temperature, how.top_k, how.top_p, seed=number),
            )
        )
    return made


def tokens_of(sampler: Sampler, count: int, *, first: Sampling = GREEDY, together: bool = True) -> list[list[int]]:
    """Tokens of some `generations`, all in one batch or one after the other."""
    loop = DecodeLoop(sampler)
    try:
        requests = generations(sampler.runtime, count, first=first)
        if not together:
            return [loop.submit(request).result(60).tolist() for request in requests]
        return [answer.result(60).tolist() for answer in [loop.submit(request) for request in requests]]
    finally:
        loop.close()


def coarse_tokens(stages: Stages, semantic: Ids, *, spec: Spec, sampling: Sampling) -> Ids:
    """All coarse tokens of a piece, window by window."""
    windows = coarse_layout.schedule(semantic, spec=spec)
    tokens = np.empty(0, np.int32)
    for start in windows.starts:
        window = stages.coarse(
            windows.prompt(start, tokens), count=windows.length(start), sampling=sampling, piece=0, hold=True
        )
        tokens = np.concatenate([tokens, asyncio.run(window)])
    return tokens
