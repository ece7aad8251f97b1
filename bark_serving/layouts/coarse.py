"""The coarse stage's schedule: which tokens each window sees, and how many it generates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bark_serving.arrays import Ids, Ints
from bark_serving.spec import Spec


def flatten(codes: Ints, *, spec: Spec) -> Ids:
    """[codebooks, frames] codes → [frames × codebooks] coarse ids, frame by frame, each codebook in its own range."""
    starts = spec.coarse.offset + spec.encodec.codebook_size * np.arange(codes.shape[0])
    return (np.asarray(codes, np.int64) + starts[:, None]).T.reshape(-1).astype(np.int32)


def unflatten(ids: Ints, *, spec: Spec) -> Ids:
    """The inverse of `flatten`: [frames × codebooks] → [codebooks, frames]."""
    count = spec.coarse.codebooks
    starts = spec.coarse.offset + spec.encodec.codebook_size * np.arange(count)
    return (np.asarray(ids, np.int64).reshape(-1, count) - starts).T.astype(np.int32)


def step_count(semantic_length: int, *, spec: Spec) -> int:
    """Number of coarse tokens for ``semantic_length`` semantic tokens; a whole number of frames."""
    count = spec.coarse.codebooks
    return int(np.floor(semantic_length * spec.semantic_to_coarse / count)) * count


@dataclass(frozen=True)
class Schedule:
    """The coarse windows of a sentence, all of it known before the first one runs."""

    spec: Spec
    semantic: Ids  #: [history + new] semantic tokens
    semantic_history: int  #: how many of them are history
    history: Ids  #: [m] coarse ids of the voice
    steps: int  #: coarse tokens to generate
    window: int  #: tokens that each window generates
    max_history: int  #: a window sees at most this many coarse tokens of history

    @property
    def starts(self) -> range:
        """The first step of each window."""
        return range(0, self.steps, self.window)

    def length(self, start: int) -> int:
        """Number of tokens that the window at ``start`` generates."""
        return min(self.window, self.steps - start)

    def prompt(self, start: int, generated: Ints) -> Ids:
        """The ids that the window at ``start`` sees, given the ``start`` coarse ids generated before it.

        [semantic_context + 1 + at most max_history]: semantic tokens padded on the right, infer token, coarse history.
        """
        numbers, ratio = self.spec.coarse, self.spec.semantic_to_coarse
        first = self.semantic_history + round(start / ratio) - int(np.floor(self.max_history / ratio))
        semantic = np.full(numbers.semantic_context, numbers.semantic_pad, np.int32)
        seen = self.semantic[max(0, first) :][: numbers.semantic_context]
        semantic[: len(seen)] = seen
        coarse = np.concatenate([self.history, np.asarray(generated[:start], np.int32)])[-self.max_history :]
        return np.concatenate([semantic, np.array([numbers.infer_token], np.int32), coarse])


def schedule(
    semantic: Ints,
    *,
    spec: Spec,
    semantic_history: Ints | None = None,
    coarse_history: Ints | None = None,
    max_history: int | None = None,
    window: int | None = None,
) -> Schedule:
    """Plan the windows for ``semantic`` [n], after a voice's semantic [m] and coarse [codebooks, frames] history.

    Both histories are cut to the same time. The coarse one ends one frame earlier; Suno's code does this "for time
    alignment". ``max_history`` and ``window`` default to the spec's.
    """
    max_history = spec.coarse.max_history if max_history is None else max_history
    window = spec.coarse.window if window is None else window
    past_semantic = past_coarse = np.empty(0, np.int32)
    if semantic_history is not None and coarse_history is not None:
        ratio = spec.semantic_to_coarse
        flat = flatten(coarse_history, spec=spec)
        keep = min(
            int(np.floor(max_history / ratio)),
            len(semantic_history) - len(semantic_history) % 2,
            int(np.floor(len(flat) / ratio)),
        )
        past_semantic = np.asarray(semantic_history, np.int32)[-keep:]
        past_coarse = flat[-round(keep * ratio) :][: -spec.coarse.codebooks]
    return Schedule(
        spec=spec,
        semantic=np.concatenate([past_semantic, np.asarray(semantic, np.int32)]),
        semantic_history=len(past_semantic),
        history=past_coarse,
        steps=step_count(len(semantic), spec=spec),
        window=window,
        max_history=max_history,
    )
