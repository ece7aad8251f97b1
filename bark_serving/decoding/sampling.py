"""Drawing a token from logits, in the order of operations of Bark's own code.

Top-p looks at the logits before the temperature, then top-k, then softmax(logits / temperature), then one draw.
Randomness is counter-based: ``Philox(key=seed, counter=step)`` gives one uniform number a step (Salmon et al.,
"Parallel random numbers: as easy as 1, 2, 3", SC 2011), so a draw depends on nothing but the request.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bark_serving.arrays import Floats


@dataclass(frozen=True)
class Sampling:
    """How to draw. ``temperature`` 0 is greedy; ``top_k`` 0 and ``top_p`` 0 or 1 keep every token."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0


def uniforms(seed: int, step: int, count: int | None = None) -> float | npt.NDArray[np.float64]:
    """``count`` numbers in [0, 1) (one float when None) that depend on ``seed`` and ``step`` only.

    More than four of one seed share numbers with its next steps: give each such array a seed of its own.
    """
    return np.random.Generator(np.random.Philox(key=seed, counter=step)).random(count)


def step_uniforms(seed: int, steps: int) -> npt.NDArray[np.float64]:
    """``[uniforms(seed, 0), uniforms(seed, 1), …]``, at a hundredth of the time.

    A step's number is the first of the four that Philox makes for a counter; one stream holds all of them in order.
    """
    return np.random.Generator(np.random.Philox(key=seed)).random(4 * steps)[::4]


def derive_seed(seed: int, *path: int) -> int:
    """A 64-bit seed for one part of a request (stage, sentence, window, …), independent of the others."""
    return int(np.random.SeedSequence([seed, *path]).generate_state(1, np.uint64)[0])


def keep_top_p(logits: Floats, top_p: float) -> Floats:
    """[n] logits with all but the nucleus at −inf: the fewest most likely tokens whose mass exceeds ``top_p``."""
    order = np.argsort(logits, kind="stable")[::-1]  # stable: equal logits in the same order on every machine
    drop = np.cumsum(softmax(logits[order])) > top_p
    drop[1:] = drop[:-1].copy()
    drop[0] = False
    kept = logits.copy()
    kept[order[drop]] = -np.inf
    return kept


def keep_top_k(logits: Floats, top_k: int) -> Floats:
    """[n] logits with all below the ``top_k``-th largest at −inf; ties with it stay."""
    if top_k >= len(logits):
        return logits
    threshold = np.partition(logits, len(logits) - top_k)[len(logits) - top_k]
    return np.where(logits < threshold, np.float32(-np.inf), logits)


def softmax(logits: Floats) -> Floats:
    """[n] → [n] probabilities."""
    powers: Floats = np.exp(logits - logits.max())
    return np.divide(powers, powers.sum())


def probabilities(logits: Floats, sampling: Sampling) -> Floats:
    """What a token is drawn from, [n]. At temperature 0 all the mass is on the first largest logit."""
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


def draw(chances: Floats, uniform: float) -> int:
    """Index of the token that ``uniform`` in [0, 1) falls on, by inverting the cumulative distribution."""
    mass = np.cumsum(chances, dtype=np.float64)
    index = int(np.searchsorted(mass, uniform * mass[-1], side="right"))
    # Rounding may put the threshold on the very end; a token without mass is never the answer.
    return min(index, int(np.flatnonzero(chances)[-1]))
