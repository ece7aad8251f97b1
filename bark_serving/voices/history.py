"""The history that a chained piece continues: the given voice, then what was spoken last."""

from __future__ import annotations

import numpy as np

from bark_serving.spec import Spec
from bark_serving.voices.voice import Voice


def continued(voice: Voice | None, said: Voice | None, *, spec: Spec) -> Voice | None:
    """The given voice followed by what was spoken last, so that the history of every stage holds both.

    Each gets half of the seconds that the stage with the shortest history sees. With what was spoken last alone, the
    speaker drifts from piece to piece.
    """
    if said is None or not said.frames:
        return voice
    if voice is None:
        return said
    seconds = history_seconds(spec) / 2
    first, second = _last(voice, seconds, spec=spec), _last(said, seconds, spec=spec)
    pairs = zip(first.arrays.values(), second.arrays.values(), strict=True)
    return Voice(*(np.concatenate(pair, axis=-1) for pair in pairs))


def history_seconds(spec: Spec) -> float:
    """The seconds of history that every stage sees."""
    coarse_rate_hz = spec.encodec.frame_rate_hz * spec.coarse.codebooks
    return min(
        spec.semantic.text_context / spec.semantic.rate_hz,
        spec.coarse.max_history / coarse_rate_hz,
        spec.fine.max_history / spec.encodec.frame_rate_hz,
    )


def _last(voice: Voice, seconds: float, *, spec: Spec) -> Voice:
    """The last seconds of a voice: the same time of each array."""
    frames = min(voice.frames, round(seconds * spec.encodec.frame_rate_hz))
    tokens = round(frames / spec.encodec.frame_rate_hz * spec.semantic.rate_hz)
    return Voice(voice.semantic[-tokens:], voice.coarse[:, -frames:], voice.fine[:, -frames:])
