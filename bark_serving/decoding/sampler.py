"""From logits to tokens: what the decode loop asks for, and the reference that samples in numpy.

A runtime may sample itself, so that logits never leave its device. `NumpySampler` samples from any runtime's logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bark_serving.arrays import Floats, Ids, Ints
from bark_serving.decoding import sampling
from bark_serving.decoding.rules import Rule, head_rows
from bark_serving.decoding.sampling import Sampling


class Runtime(Protocol):
    """A GPT with a KV cache of ``rows`` sequences, each of up to ``capacity`` positions.

    Its logits are those of the ids in `head_rows` of the stage's rule, and valid until the next call.
    """

    @property
    def rows(self) -> int: ...

    @property
    def capacity(self) -> int: ...

    def embed(self, ids: Ints) -> Floats:
        """[n] ids → [n, width] token embeddings."""

    def prefill(self, row: int, embeddings: Floats) -> Floats:
        """Fill a row's cache with [n, width] embedding sums; logits [head rows] of the last position."""

    def decode(self, embeddings: Floats, lengths: Ids) -> Floats:
        """One step of rows 0…n−1: [n, width] embeddings at positions ``lengths`` [n] → logits [n, head rows]."""

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first ``length`` positions of one row's cache over another's."""


@dataclass(frozen=True)
class SampleRequest:
    """How the next token of one row is sampled. ``uniform`` in [0, 1) is its only randomness."""

    id_set: int  #: which of the rule's sets of ids
    sampling: Sampling
    uniform: float


@dataclass(frozen=True)
class Sampled:
    """The samples of n rows."""

    tokens: Ids  #: [n]
    end_probabilities: Floats  #: [n] probability of the last id of each row's set: the end token, if the rule has one


class Sampler(Protocol):
    """A runtime whose steps end in tokens. The same logits and requests give the same tokens as `NumpySampler`."""

    @property
    def runtime(self) -> Runtime: ...

    @property
    def rule(self) -> Rule: ...

    def prefill_and_sample(self, row: int, embeddings: Floats, request: SampleRequest) -> Sampled:
        """`Runtime.prefill`, then one sample."""

    def decode_and_sample(self, tokens: Ids, lengths: Ids, requests: Sequence[SampleRequest]) -> Sampled:
        """`Runtime.decode` of [n] tokens, then one sample per row."""


class NumpySampler:
    """Samples in numpy from a `Runtime`'s logits: the reference, and fast enough on a CPU."""

    def __init__(self, runtime: Runtime, rule: Rule) -> None:
        self.runtime = runtime
        self.rule = rule
        self._id_sets = rule.id_sets
        self._columns = [ids - head_rows(rule).start for ids in rule.id_sets]  # where each id's logit is

    def prefill_and_sample(self, row: int, embeddings: Floats, request: SampleRequest) -> Sampled:
        return self.sample(self.runtime.prefill(row, embeddings)[None], [request])

    def decode_and_sample(self, tokens: Ids, lengths: Ids, requests: Sequence[SampleRequest]) -> Sampled:
        return self.sample(self.runtime.decode(self.runtime.embed(tokens), lengths), requests)

    def sample(self, logits: Floats, requests: Sequence[SampleRequest]) -> Sampled:
        """One sample per row of [n, head rows] logits."""
        tokens, end_probabilities = np.empty(len(requests), np.int32), np.empty(len(requests), np.float32)
        for row, request in enumerate(requests):
            probabilities = sampling.probabilities(logits[row, self._columns[request.id_set]], request.sampling)
            index = sampling.sample_index(probabilities, request.uniform)
            tokens[row] = self._id_sets[request.id_set][index]
            end_probabilities[row] = probabilities[-1]
        return Sampled(tokens, end_probabilities)
