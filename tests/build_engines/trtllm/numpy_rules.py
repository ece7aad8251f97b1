"""Bark's logit rules in numpy: what the graph that `build_engines.trtllm.model` builds must compute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bark_serving.arrays import Floats, Ints
from bark_serving.decoding.sampling import softmax

#: Added to the logit of an id that must not be sampled, and of one that must. Finite: −inf minus −inf is not a number.
MASKED, LIFTED = -1e9, 1e9

Numbers = Mapping[str, Any]


def apply_rule(logits: Floats, last_ids: Ints, numbers: Numbers) -> Floats:
    """[batch, vocab] logits and [batch] last ids → [batch, vocab] logits with the rule applied."""
    rule = _coarse if numbers["bark_stage"] == "coarse" else _semantic
    return np.stack([rule(row, int(last), numbers) for row, last in zip(logits, last_ids, strict=True)])


def _semantic(logits: Floats, _: int, numbers: Numbers) -> Floats:
    """Allows all semantic tokens and the end token. If the end token is likely enough: only it."""
    end = numbers["bark_end_token"]
    ruled = np.full_like(logits, MASKED)
    ruled[: numbers["bark_tokens"]] = logits[: numbers["bark_tokens"]]
    ruled[end] = logits[end]
    probability = softmax(ruled / np.float32(numbers["bark_temperature"]))[end]
    if probability >= numbers["bark_min_eos_p"]:
        ruled[end] += np.float32(LIFTED)
    return ruled


def _coarse(logits: Floats, last: int, numbers: Numbers) -> Floats:
    """Allows the codebook after that of the last id. After any other id: the first codebook."""
    size, book = numbers["bark_codebook_size"], 0
    if numbers["bark_offset"] <= last < numbers["bark_offset"] + numbers["bark_codebooks"] * size:
        book = ((last - numbers["bark_offset"]) // size + 1) % numbers["bark_codebooks"]
    start = numbers["bark_offset"] + book * size
    ruled = np.full_like(logits, MASKED)
    ruled[start : start + size] = logits[start : start + size]
    return ruled
