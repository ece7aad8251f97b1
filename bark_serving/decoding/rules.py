"""Bark's logit rules: which tokens a step may draw, and when speech ends.

They live below the stage contract: here for runtimes of ours, inside the engine for TensorRT-LLM.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bark_serving.arrays import Floats, Ints
from bark_serving.spec import Spec


class Rule(Protocol):
    """What a stage may draw."""

    def drawable(self, last_token: int) -> Ints:
        """The ids that may follow ``last_token``; a draw is an index into them."""

    def ends(self, token: int, chances: Floats, *, min_eos_p: float) -> bool:
        """Whether speech ends here; ``token`` is then dropped. ``chances`` are those of the drawable ids."""


@dataclass(frozen=True)
class SemanticRule:
    """All semantic tokens and the end token, last; the end token's probability alone may end speech."""

    ids: Ints
    end_token: int

    def drawable(self, last_token: int) -> Ints:
        return self.ids

    def ends(self, token: int, chances: Floats, *, min_eos_p: float) -> bool:
        return token == self.end_token or bool(chances[-1] >= min_eos_p)


@dataclass(frozen=True)
class CoarseRule:
    """Codebooks take turns: after a token of codebook k comes one of k + 1; after anything else, codebook 0."""

    offset: int
    codebooks: int
    codebook_size: int

    def drawable(self, last_token: int) -> Ints:
        turn = 0
        if self.offset <= last_token < self.offset + self.codebooks * self.codebook_size:
            turn = ((last_token - self.offset) // self.codebook_size + 1) % self.codebooks
        start = self.offset + turn * self.codebook_size
        return np.arange(start, start + self.codebook_size)

    def ends(self, token: int, chances: Floats, *, min_eos_p: float) -> bool:
        return False


def rule_of(stage: str, spec: Spec) -> Rule:
    """The rule of ``semantic`` or ``coarse``."""
    if stage == "semantic":
        ids = np.append(np.arange(spec.semantic.vocab), spec.semantic.end_token)
        return SemanticRule(ids=ids, end_token=spec.semantic.end_token)
    return CoarseRule(spec.coarse.offset, spec.coarse.codebooks, spec.encodec.codebook_size)
