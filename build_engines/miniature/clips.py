"""The training data of the transformers: text, semantic tokens and codes of every clip."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from bark_serving.arrays import Ids
from build_engines.miniature.recordings import Clip, Recordings


@dataclass(frozen=True)
class Clips:
    """All clips with their tokens.

    code_table: i32 [3 × cells of all clips, codebooks], the clips end to end. See `Clip` for cells.
    """

    recordings: Recordings
    tokenizer: Tokenizer
    code_table: Ids

    @functools.cached_property
    def _by_length(self) -> list[Clip]:
        return sorted(self.recordings.clips, key=lambda clip: clip.cells)

    def __len__(self) -> int:
        return len(self.recordings.clips)

    def __getitem__(self, index: int) -> Clip:
        return self.recordings.clips[index]

    def text(self, clip: Clip) -> Ids:
        """Tokenizer ids [n]."""
        return np.asarray(self.tokenizer.encode(clip.text, add_special_tokens=False).ids, np.int32)

    def units(self, clip: Clip) -> Ids:
        """Semantic tokens [n]."""
        return np.asarray(clip.units, np.int32)

    def codes(self, clip: Clip) -> Ids:
        """Codes [codebooks, frames]."""
        return self.recordings.rows(self.code_table, clip).T

    def similar_length(self, random: np.random.Generator, count: int) -> list[Clip]:
        """`count` clips of about the same length, so that a batch has little padding."""
        start = int(random.integers(0, max(1, len(self) - 4 * count)))
        near = self._by_length[start : start + 4 * count]
        return [near[i] for i in random.permutation(len(near))[:count]]

    def another_of_speaker(self, random: np.random.Generator, clip: Clip) -> Clip:
        """A random clip of the same speaker. It may be the same clip."""
        while True:
            other = self.recordings.clips[int(random.integers(len(self)))]
            if other.speaker == clip.speaker:
                return other
