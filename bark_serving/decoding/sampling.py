"""Sampling a token from logits, in the order of operations of Bark's own code.

Top-p reads the logits before the temperature. Then come top-k, softmax(logits / temperature) and one sample.
Randomness is counter-based: ``Philox(key=seed, counter=step)`` gives one uniform number per step (Salmon et al.,
"Parallel random numbers: as easy as 1, 2, 3", SC 2011). So a sample depends on nothing but the request.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bark_serving.arrays import Floats


@dataclass(frozen=True)
class Sampling:
    """How to sample. ``temperature`` 0 is greedy; ``top_k`` 0 and ``top_p`` 0 or 1 keep every token."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0


def uniforms(seed: int, step: int, count: int | None = None) -> float | npt.NDArray[np.float64]:
    """``count`` numbers in [0, 1) (one float when None) that depend on ``seed`` and ``step`` only.

    Philox makes four numbers per step. So an array of more than four needs a seed of its own: its other numbers are
    those of the seed's next steps.
    """
    return np.random.Generator(np.random.Philox(key=seed, counter=step)).random(count)


def step_uniforms(seed: int, steps: int) -> npt.NDArray[np.float64]:
    """``[uniforms(seed, 0), uniforms(seed, 1), …]``, in a hundredth of the time.

    Philox makes four numbers per counter, and a step uses the first. One stream holds those of all counters in order.
    """
    return np.random.Generator(np.random.Philox(key=seed)).random(4 * steps)[::4]


def derive_seed(seed: int, *path: int) -> int:
    """A 64-bit seed for one part of a request (stage, sentence, window, …), independent of the others."""
    return int(np.random.SeedSequence([seed, *path]).generate_state(1, np.uint64)[0])


def keep_top_p(logits: Floats, top_p: float) -> Floats:
    """[n] logits with −inf outside the nucleus: the fewest most likely tokens whose total exceeds ``top_p``."""
    order = np.argsort(logits, kind="stable")[::-1]  # stable: the same order of equal logits on every machine
    drop = np.cumsum(softmax(logits[order])) > top_p
    drop[1:] = drop[:-1].copy()
    drop[0] = False
    kept = logits.copy()
    kept[order[drop]] = -np.inf
    return kept


def keep_top_k(logits: Floats, top_k: int) -> Floats:
    """[n] logits with −inf below the ``top_k``-th largest. Logits equal to it stay."""
    if top_k >= len(logits):
        return logits
    threshold = np.partition(logits, len(logits) - top_k)[len(logits) - top_k]
    return np.where(logits < threshold, np.float32(-np.inf), logits)


def softmax(logits: Floats) -> Floats:
    """[n] → [n] probabilities."""
    powers: Floats = np.exp(logits - logits.max())
    return np.divide(powers, powers.sum())


def probabilities(logits: Floats, sampling: Sampling) -> Floats:
    """The distribution that a token is sampled from, [n]. At temperature 0 it is 1 at the first largest logit."""
    logits = np.asarray(logits, np.float32)
    if 0 < sampling.top_p < 1:
        logits = keep_top_p(logits, sampling.top_p)
    if sampling.top_k > 0:
        logits = keep_top_k(logits, sampling.top_k)
    if sampling.temperature <= 0:
        chosen = np.zeros(len(logits), np.float32)
        chosen[np.argmax(logits)] = 1
        return chosen
    return softmax(logits / np.float32(sampling.temperature))


def sample_index(probabilities: Floats, uniform: float) -> int:
    """Index of the token that ``uniform`` in [0, 1) falls on, by inverting the cumulative distribution."""
    cumulative = np.cumsum(probabilities, dtype=np.float64)
    index = int(np.searchsorted(cumulative, uniform * cumulative[-1], side="right"))
    # Rounding may put the threshold at the very end; a token of probability 0 is never the answer.
    return min(index, int(np.flatnonzero(probabilities)[-1]))
