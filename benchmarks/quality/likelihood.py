"""A network's logits at every step when it reads given tokens instead of its own (teacher forcing)."""

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
    """The same for all coarse ids. Each window is prefilled with the prompt of the schedule."""
    found: list[Floats] = []
    for start in schedule.starts:
        prompt = schedule.prompt(start, ids)
        tokens = ids[start : start + schedule.length(start)]
        found += forced_logits(runtime, runtime.embed(prompt), int(prompt[-1]), tokens, rule)
    return found


def indices(rule: Rule, tokens: Ids, before: int) -> Ints:
    """The index of each token among the ids allowed at its step; ``before`` is the id before the first token."""
    found, last = [], before
    for token in tokens:
        found.append(int(np.flatnonzero(allowed_ids(rule, last) == token)[0]))
        last = int(token)
    return np.array(found)


@dataclass(frozen=True)
class Agreement:
    """How similar two networks' logits are over the same steps."""

    agreement: float  #: share of steps at which both have the same most likely token
    drift: float  #: mean |log p − log q| of the given token, in nats
    divergence: float  #: mean Kullback–Leibler divergence of the distributions, in nats


def compare(reference: Sequence[Floats], other: Sequence[Floats], tokens: Ints) -> Agreement:
    """Compare the logits of n steps; ``tokens`` [n] has the index of the given token at each."""
    same, drifts, divergences = [], [], []
    for p, q, token in zip(reference, other, tokens, strict=True):
        log_p, log_q = _log_softmax(p), _log_softmax(q)
        same.append(int(p.argmax()) == int(q.argmax()))
        drifts.append(abs(float(log_p[token] - log_q[token])))
        divergences.append(float((np.exp(log_p) * (log_p - log_q)).sum()))
    return Agreement(float(np.mean(same)), float(np.mean(drifts)), max(0.0, float(np.mean(divergences))))


def _log_softmax(logits: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    shifted = np.asarray(logits, np.float64) - float(logits.max())
    return np.asarray(shifted - np.log(np.exp(shifted).sum()))
