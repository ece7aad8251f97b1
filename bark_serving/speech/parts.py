"""What the ways to speak a sentence share: the parts that draw random numbers, and where audio goes."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Protocol

from bark_serving.arrays import Floats
from bark_serving.decoding.sampling import Sampling

Emit = Callable[[Floats, bool], None]  #: takes audio [n] and whether it is the sentence's last


class Part(IntEnum):
    """What a derived seed is for."""

    SEMANTIC = 0
    COARSE = 1
    FINE = 2


class Draws(Protocol):
    """The random numbers of one sentence: a seed for each of its parts."""

    def seed(self, part: Part, *path: int) -> int:
        """A seed for a part; ``path`` numbers its windows and codebooks."""

    def sampling(self, part: Part, temperature: float, *path: int) -> Sampling:
        """How a part samples at a temperature."""
