"""Bark's logit rules: which tokens a step may draw, and when speech ends.

They live below the stage contract: here for runtimes of ours, inside the engine for TensorRT-LLM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bark_serving.arrays import Ints
from bark_serving.spec import Spec


class Rule(Protocol):
    """What a stage may draw: at each step, the ids of one of a few sets."""

    @property
    def sets(self) -> Sequence[Ints]:
        """The sets; a draw is an index into one of them."""

    def turn(self, last_token: int) -> int:
        """The number of the set that follows ``last_token``."""

    def ends(self, token: int, last_chance: float, *, min_eos_p: float) -> bool:
        """Whether speech ends here; ``token`` is then dropped. ``last_chance`` is that of the set's last id."""


def span(rule: Rule) -> slice:
    """From the first id to the last that a rule ever lets draw: the rows of a head that are of any use."""
    return slice(min(int(ids.min()) for ids in rule.sets), max(int(ids.max()) for ids in rule.sets) + 1)


def drawable(rule: Rule, last_token: int) -> Ints:
    """The ids that may follow ``last_token``."""
    return rule.sets[rule.turn(last_token)]


@dataclass(frozen=True)
class SemanticRule:
    """All semantic tokens and the end token, last; the end token's probability alone may end speech."""

    ids: Ints
    end_token: int

    @property
    def sets(self) -> Sequence[Ints]:
        return (self.ids,)

    def turn(self, last_token: int) -> int:
        return 0

    def ends(self, token: int, last_chance: float, *, min_eos_p: float) -> bool:
        return token == self.end_token or last_chance >= min_eos_p


@dataclass(frozen=True)
class CoarseRule:
    """Codebooks take turns: after a token of codebook k comes one of k + 1; after anything else, codebook 0."""

    offset: int
    codebooks: int
    codebook_size: int

    @property
    def sets(self) -> Sequence[Ints]:
        starts = self.offset + self.codebook_size * np.arange(self.codebooks)
        return [np.arange(start, start + self.codebook_size) for start in starts]

    def turn(self, last_token: int) -> int:
        if self.offset <= last_token < self.offset + self.codebooks * self.codebook_size:
            return ((last_token - self.offset) // self.codebook_size + 1) % self.codebooks
        return 0

    def ends(self, token: int, last_chance: float, *, min_eos_p: float) -> bool:
        return False


def rule_of(stage: str, spec: Spec) -> Rule:
    """The rule of ``semantic`` or ``coarse``."""
    if stage == "semantic":
        ids = np.append(np.arange(spec.semantic.vocab), spec.semantic.end_token)
        return SemanticRule(ids=ids, end_token=spec.semantic.end_token)
    return CoarseRule(spec.coarse.offset, spec.coarse.codebooks, spec.encodec.codebook_size)
