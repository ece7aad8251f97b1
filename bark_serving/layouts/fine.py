"""The fine stage's schedule: overlapping windows over [history | coarse frames | padding]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bark_serving.arrays import Ids, Ints
from bark_serving.spec import Spec


@dataclass(frozen=True)
class FineWindow:
    """Rows ``start`` … ``start + window`` of the buffer; those from ``fill`` on (relative) are predicted."""

    start: int
    fill: int
    needs: int  #: coarse frames that must be there before this window can run
    final: int  #: frames of speech that no later window changes


def buffer(frames: int, *, spec: Spec, history: Ints | None = None) -> tuple[Ids, int]:
    """An empty buffer for ``frames`` of speech: ([codebooks, rows] codes, number of history frames in front).

    Everything but the history holds the padding id; the caller writes coarse codes from the history's end on.
    """
    pad = spec.fine.pad_token
    past = np.empty((spec.encodec.codebooks, 0), np.int32)
    if history is not None:
        past = np.asarray(history, np.int32)[:, -spec.fine.max_history :]
    rows = max(past.shape[1] + frames, spec.fine.window)
    codes = np.full((spec.encodec.codebooks, rows), pad, np.int32)
    codes[:, : past.shape[1]] = past
    return codes, past.shape[1]


def windows(frames: int, *, spec: Spec, history_frames: int = 0) -> list[FineWindow]:
    """The windows over ``frames`` of speech after ``history_frames`` of a voice."""
    size, hop = spec.fine.window, spec.fine.hop
    rows = max(history_frames + frames, size)
    count = max(0, -(-(frames - (size - history_frames)) // hop)) + 1
    starts = [min(n * hop, rows - size) for n in range(count)]
    fills = [min(history_frames + n * hop, rows - hop) for n in range(count)]
    ends = [fill - history_frames for fill in fills[1:]] + [frames]
    return [
        FineWindow(start=start, fill=fill - start, needs=min(frames, start + size - history_frames), final=end)
        for start, fill, end in zip(starts, fills, ends, strict=True)
    ]
