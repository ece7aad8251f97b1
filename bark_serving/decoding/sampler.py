"""From logits to tokens: what a decode step is asked to draw, and the reference that draws it in numpy.

A runtime may draw by itself (`DrawingRuntime`), so that logits never leave its device; `HostDrawing` gives every other
runtime the same two verbs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from bark_serving.arrays import Floats, Ids, Ints
from bark_serving.decoding import sampling
from bark_serving.decoding.rules import Rule
from bark_serving.decoding.sampling import Sampling


class Runtime(Protocol):
    """A GPT with a KV cache of ``rows`` sequences, each up to ``capacity`` positions."""

    rows: int
    capacity: int

    def embed(self, ids: Ints) -> Floats:
        """[n] ids → [n, width] token embeddings."""

    def prefill(self, row: int, embeddings: Floats) -> Floats:
        """Fill a row's cache with [n, width] embedding sums; logits [vocab] of the last position."""

    def decode(self, embeddings: Floats, lengths: Ids) -> Floats:
        """One step for rows 0…len(lengths)−1: [n, width] embeddings at positions ``lengths`` → logits [n, vocab]."""

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first ``length`` positions of one row's cache over another's."""


@dataclass(frozen=True)
class Wish:
    """How the next token of one row is drawn. ``uniform`` in [0, 1) is all its randomness."""

    turn: int  #: which of the rule's sets of ids
    sampling: Sampling
    uniform: float


@dataclass(frozen=True)
class Drawn:
    """What was drawn for n rows."""

    tokens: Ids  #: [n]
    last_chances: Floats  #: [n] probability of the last id of each row's set, the end token's if the rule has one


class Drawing(Protocol):
    """Steps that end in tokens. The same logits and wishes give the same tokens as `HostDrawing`."""

    rows: int
    capacity: int

    def prefill_and_draw(self, row: int, embeddings: Floats, wish: Wish) -> Drawn:
        """`Runtime.prefill`, then one draw."""

    def decode_and_draw(self, tokens: Ids, lengths: Ids, wishes: Sequence[Wish]) -> Drawn:
        """`Runtime.decode` of [n] tokens, then a draw a row."""

    def move(self, source: int, target: int, length: int) -> None:
        """`Runtime.move`."""


@runtime_checkable
class DrawingRuntime(Runtime, Drawing, Protocol):
    """A runtime that draws by itself, made for one rule."""


class HostDrawing:
    """Draws in numpy what a `Runtime`'s logits say: the reference, and all that a CPU needs."""

    def __init__(self, runtime: Runtime, rule: Rule) -> None:
        self._runtime = runtime
        self._sets = rule.id_sets
        self.rows = runtime.rows
        self.capacity = runtime.capacity
        self.move = runtime.move

    def prefill_and_draw(self, row: int, embeddings: Floats, wish: Wish) -> Drawn:
        return self._draw(self._runtime.prefill(row, embeddings)[None], [wish])

    def decode_and_draw(self, tokens: Ids, lengths: Ids, wishes: Sequence[Wish]) -> Drawn:
        return self._draw(self._runtime.decode(self._runtime.embed(tokens), lengths), wishes)

    def _draw(self, logits: Floats, wishes: Sequence[Wish]) -> Drawn:
        tokens, last_chances = np.empty(len(wishes), np.int32), np.empty(len(wishes), np.float32)
        for row, wish in enumerate(wishes):
            ids = self._sets[wish.turn]
            chances = sampling.probabilities(logits[row, ids], wish.sampling)
            tokens[row] = ids[sampling.draw(chances, wish.uniform)]
            last_chances[row] = chances[-1]
        return Drawn(tokens, last_chances)
