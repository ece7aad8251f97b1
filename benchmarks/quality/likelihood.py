"""What a network thinks of given tokens: its logits at every step when it is made to say what another one said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bark_serving.arrays import Floats, Ids, Ints
from bark_serving.decoding.rules import Rule, allowed_ids, head_rows
from bark_serving.decoding.sampler import Runtime
from bark_serving.layouts.coarse import Schedule


def forced_logits(runtime: Runtime, prompt: Floats, prompt_end: int, tokens: Ids, rule: Rule) -> list[Floats]:
    """Logits of the allowed ids before each of [n] ``tokens``, which follow [p, width] prompt embeddings."""
    logits = runtime.prefill(0, prompt)
    found, last, first = [], prompt_end, head_rows(rule).start
    for step, token in enumerate(tokens):
        found.append(np.array(logits[allowed_ids(rule, last) - first], np.float32))
        last = int(token)
        if step + 1 < len(tokens):
            length = np.array([len(prompt) + step], np.int32)
            logits = runtime.decode(runtime.embed(np.array([last])), length)[0]
    return found


def forced_windows(runtime: Runtime, schedule: Schedule, ids: Ids, rule: Rule) -> list[Floats]:
    """The same for all coarse ids, each window prefilled with what its schedule shows it."""
    found: list[Floats] = []
    for start in schedule.starts:
        prompt = schedule.prompt(start, ids)
        made = ids[start : start + schedule.length(start)]
        found += forced_logits(runtime, runtime.embed(prompt), int(prompt[-1]), made, rule)
    return found


def indices(rule: Rule, tokens: Ids, before: int) -> Ints:
    """Where each token stands among the ids that could be drawn, given the one before it."""
    found, last = [], before
    for token in tokens:
        found.append(int(np.flatnonzero(allowed_ids(rule, last) == token)[0]))
        last = int(token)
    return np.array(found)


@dataclass(frozen=True)
class Agreement:
    """Two networks' opinions about the same steps."""

    agreement: float  #: share of steps at which both find the same token most likely
    drift: float  #: mean |log p − log p'| of the token said, in nats
    divergence: float  #: mean Kullback–Leibler divergence of the distributions, in nats


def compare(reference: Sequence[Floats], other: Sequence[Floats], tokens: Ints) -> Agreement:
    """Opinions of n steps, and the index that was said at each."""
    same, drifts, divergences = [], [], []
    for ours, theirs, token in zip(reference, other, tokens, strict=True):
        log_p, log_q = _log_softmax(ours), _log_softmax(theirs)
        same.append(int(ours.argmax()) == int(theirs.argmax()))
        drifts.append(abs(float(log_p[token] - log_q[token])))
        divergences.append(float((np.exp(log_p) * (log_p - log_q)).sum()))
    return Agreement(float(np.mean(same)), float(np.mean(drifts)), max(0.0, float(np.mean(divergences))))


def _log_softmax(logits: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    shifted = np.asarray(logits, np.float64) - float(logits.max())
    return np.asarray(shifted - np.log(np.exp(shifted).sum()))
