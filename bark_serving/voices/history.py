"""The history that a chained piece continues: what was spoken last, then the given voice."""

from __future__ import annotations

import numpy as np

from bark_serving.spec import Spec
from bark_serving.voices.voice import Voice

#: Of a chained piece's history, what was spoken last gets this share, and the given voice the rest.
SAID_SHARE = 0.25


def continued(voice: Voice | None, said: Voice | None, *, spec: Spec, coarse_history: int) -> Voice | None:
    """What was spoken last, followed by the given voice, so that the history of every stage holds both.

    coarse_history: coarse tokens that the coarse stage sees of a history.

    The two share the seconds that the stage with the shortest history sees. The voice comes last, because what comes
    right before a piece decides most about its speaker: with what was spoken in that place, a speaker became another
    one in the course of a text.
    """
    if said is None or not said.frames:
        return voice
    if voice is None:
        return said
    seconds = history_seconds(spec, coarse_history=coarse_history)
    first = _last(said, SAID_SHARE * seconds, spec=spec)
    second = _last(voice, (1 - SAID_SHARE) * seconds, spec=spec)
    pairs = zip(first.arrays.values(), second.arrays.values(), strict=True)
    return Voice(*(np.concatenate(pair, axis=-1) for pair in pairs))


def history_seconds(spec: Spec, *, coarse_history: int) -> float:
    """The seconds of history that every stage sees."""
    coarse_rate_hz = spec.encodec.frame_rate_hz * spec.coarse.codebooks
    return min(
        spec.semantic.text_context / spec.semantic.rate_hz,
        coarse_history / coarse_rate_hz,
        spec.fine.max_history / spec.encodec.frame_rate_hz,
    )


def _last(voice: Voice, seconds: float, *, spec: Spec) -> Voice:
    """The last seconds of a voice: the same time of each array."""
    frames = min(voice.frames, round(seconds * spec.encodec.frame_rate_hz))
    tokens = round(frames / spec.encodec.frame_rate_hz * spec.semantic.rate_hz)
    return Voice(voice.semantic[-tokens:], voice.coarse[:, -frames:], voice.fine[:, -frames:])
