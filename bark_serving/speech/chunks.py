"""Low latency: a piece in chunks, so that its first audio leaves long before its last token is made.

A chunk is a run of frames. Its semantic tokens are made first, with a lookahead; then its coarse codes, the fine codes
of all but its last few frames, and their audio. Chunks begin short and grow. What a chunk holds depends on counts of
tokens only, never on time: the same seed gives the same samples on any machine under any load.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from bark_serving.layouts import coarse as coarse_layout
from bark_serving.spec import Spec

FIRST_S = 0.4  #: audio of the first chunk
GROWTH = 2.0  #: each chunk is so many times as long as the one before it …
LONGEST_S = 2.5  #: … up to this
LOOKAHEAD_S = 1.0  #: semantic tokens that the coarse stage sees beyond a chunk's end
PAST_S = 0.85  #: frames before a chunk that the fine stage sees; with 1.7, no fewer words were misheard
AHEAD_S = 0.1  #: coarse frames beyond a chunk's audio that the fine stage sees


@dataclass(frozen=True)
class Chunk:
    """Where a chunk ends. All counts are from the beginning of the piece."""

    frames: int  #: coarse frames
    audible: int  #: frames of audio: fewer, because the fine stage sees some frames to the right
    last: bool


@dataclass(frozen=True)
class ChunkPlan:
    """The chunks of a piece whose length is not yet known.

    coarse_window: coarse tokens that one window makes at most. A chunk is one window, or several whole ones.
    """

    spec: Spec
    coarse_window: int

    @property
    def past(self) -> int:
        """Frames before a chunk that the fine stage sees at most."""
        room = self.spec.fine.window - self._longest - self._shortest - self.ahead
        return min(self._frames(PAST_S), room, self.spec.fine.max_history)

    @property
    def ahead(self) -> int:
        """Coarse frames that the fine stage sees beyond a chunk's audio."""
        return self._frames(AHEAD_S)

    def ends(self) -> Iterator[int]:
        """The coarse frames at which chunks end, without end."""
        window = self.coarse_window // self.spec.coarse.codebooks
        frames, size, beyond = 0, float(self._frames(FIRST_S)), self.ahead
        while True:
            length = min(int(size) + beyond, self._longest)
            frames += length if length <= window else length // window * window
            yield frames
            size, beyond = GROWTH * size, 0

    def semantic_tokens(self, frames: int) -> int:
        """Semantic tokens that must be there before the coarse stage makes the frames up to ``frames``."""
        steps = frames * self.spec.coarse.codebooks
        return math.ceil(steps / self.spec.semantic_to_coarse) + round(LOOKAHEAD_S * self.spec.semantic.rate_hz)

    def chunk(self, end: int, *, semantic: int, ended: bool) -> Chunk:
        """The chunk that ends at ``end``, given how many semantic tokens there are and whether they are all.

        The end of the piece comes with the chunk before it where it would be a short chunk of its own.
        """
        total = coarse_layout.step_count(semantic, spec=self.spec) // self.spec.coarse.codebooks
        if ended and total - end <= self._shortest:
            return Chunk(total, total, last=True)
        return Chunk(end, end - self.ahead, last=False)

    @property
    def _shortest(self) -> int:
        return self._frames(FIRST_S) + self.ahead

    @property
    def _longest(self) -> int:
        return min(self._frames(LONGEST_S), self.spec.fine.window // 2)

    def _frames(self, seconds: float) -> int:
        return round(seconds * self.spec.encodec.frame_rate_hz)
