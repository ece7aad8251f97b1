"""Bark's logit rules: which ids a step may sample, and when speech ends.

They are applied below a stage's tensor interface: by the decode loop here, inside the engine for TensorRT-LLM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bark_serving.arrays import Ints
from bark_serving.spec import Spec


class Rule(Protocol):
    """Which ids a stage may sample. The ids form one or more sets; each step samples from one set."""

    @property
    def id_sets(self) -> Sequence[Ints]:
        """The sets of ids."""

    def next_set(self, last_token: int) -> int:
        """The index of the set that the token after ``last_token`` comes from."""

    def ends(self, token: int, end_probability: float, *, min_eos_p: float) -> bool:
        """Whether speech ends at ``token``, which is then dropped. ``end_probability``: of the set's last id."""


def head_rows(rule: Rule) -> slice:
    """The rows of the output head that a stage needs: from the smallest id of any set to the largest."""
    return slice(min(int(ids.min()) for ids in rule.id_sets), max(int(ids.max()) for ids in rule.id_sets) + 1)


def allowed_ids(rule: Rule, last_token: int) -> Ints:
    """The ids that may follow ``last_token``."""
    return rule.id_sets[rule.next_set(last_token)]


@dataclass(frozen=True)
class SemanticRule:
    """One set: all semantic tokens, then the end token. Speech ends at the end token or when it is probable enough."""

    ids: Ints
    end_token: int

    @property
    def id_sets(self) -> Sequence[Ints]:
        return (self.ids,)

    def next_set(self, last_token: int) -> int:
        return 0

    def ends(self, token: int, end_probability: float, *, min_eos_p: float) -> bool:
        return token == self.end_token or end_probability >= min_eos_p


@dataclass(frozen=True)
class CoarseRule:
    """One set per codebook: codebook k + 1 follows codebook k; codebook 0 follows the last one and any other id."""

    offset: int
    codebooks: int
    codebook_size: int

    @property
    def id_sets(self) -> Sequence[Ints]:
        starts = self.offset + self.codebook_size * np.arange(self.codebooks)
        return [np.arange(start, start + self.codebook_size) for start in starts]

    def next_set(self, last_token: int) -> int:
        if self.offset <= last_token < self.offset + self.codebooks * self.codebook_size:
            return ((last_token - self.offset) // self.codebook_size + 1) % self.codebooks
        return 0

    def ends(self, token: int, end_probability: float, *, min_eos_p: float) -> bool:
        return False


def rule_of(stage: str, spec: Spec) -> Rule:
    """The rule of stage ``semantic`` or ``coarse``."""
    if stage == "semantic":
        ids = np.append(np.arange(spec.semantic.vocab), spec.semantic.end_token)
        return SemanticRule(ids=ids, end_token=spec.semantic.end_token)
    return CoarseRule(spec.coarse.offset, spec.coarse.codebooks, spec.encodec.codebook_size)
