"""The fine stage's schedule: overlapping windows over [history | coarse frames | padding].

Suno's code pads a short sentence to a full window, and the network attends to the padding. Without padding, the window
is as long as the sentence. The logits then differ from Suno's, and a pass takes less time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bark_serving.arrays import Ids, Ints
from bark_serving.spec import Spec


@dataclass(frozen=True)
class FineWindow:
    """One window: it begins at row ``start`` of the buffer, and its rows from ``fill`` on are predicted."""

    start: int  #: row of the buffer
    fill: int  #: row of the window
    needs: int  #: coarse frames that must have been received before this window can run
    final: int  #: frames of speech that no later window changes


def buffer(frames: int, *, spec: Spec, history: Ints | None = None, padding: bool = True) -> tuple[Ids, int]:
    """An empty buffer for ``frames`` of speech: ([codebooks, rows] codes, number of history frames at its beginning).

    All codes after the history are the padding id. The caller writes the coarse codes there.
    """
    pad = spec.fine.pad_token
    past = np.empty((spec.encodec.codebooks, 0), np.int32)
    if history is not None:
        past = np.asarray(history, np.int32)[:, -spec.fine.max_history :]
    rows = _rows(frames, past.shape[1], spec=spec, padding=padding)
    codes = np.full((spec.encodec.codebooks, rows), pad, np.int32)
    codes[:, : past.shape[1]] = past
    return codes, past.shape[1]


def windows(frames: int, *, spec: Spec, history_frames: int = 0, padding: bool = True) -> list[FineWindow]:
    """The windows over ``frames`` of speech after ``history_frames`` of a voice."""
    rows = _rows(frames, history_frames, spec=spec, padding=padding)
    size, hop = min(spec.fine.window, rows), spec.fine.hop
    count = max(0, -(-(rows - size) // hop)) + 1
    starts = [min(n * hop, rows - size) for n in range(count)]
    fills = [min(history_frames + n * hop, max(history_frames, rows - hop)) for n in range(count)]
    ends = [fill - history_frames for fill in fills[1:]] + [frames]
    return [
        FineWindow(start=start, fill=fill - start, needs=min(frames, start + size - history_frames), final=end)
        for start, fill, end in zip(starts, fills, ends, strict=True)
    ]


def _rows(frames: int, history_frames: int, *, spec: Spec, padding: bool) -> int:
    return max(history_frames + frames, spec.fine.window if padding else 0)
