"""Takes of many sentences, good ones and ones spoiled by temperature, and what the guard measures of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bark_client import BarkClient, Speech
from bark_serving.arrays import Ids
from bark_serving.bundle import Bundle
from bark_serving.spec import GuardSpec, Spec
from bark_serving.speech.guard import (
    VERDICTS,
    Verdict,
    change_db,
    judge_audio,
    judge_tokens,
    level_dbfs,
    loop_share,
    repeat_share,
    worse,
)
from bark_serving.speech.text import pace
from benchmarks.listen.measure import speak_all
from benchmarks.results import Fact, Measurement

GOOD = "good"
#: How takes are spoiled: the options of a request.
SPOILED: Mapping[str, dict[str, Any]] = {
    "semantic temperature 1": {"semantic_temperature": 1.0},
    "semantic temperature 1.5": {"semantic_temperature": 1.5},
    "semantic temperature 2.5": {"semantic_temperature": 2.5},
    "coarse temperature 3": {"coarse_temperature": 3.0},
}
CONDITIONS: Mapping[str, dict[str, Any]] = {GOOD: {}, **SPOILED}
#: Options by which each sentence is one piece. `speak_all` speaks it once.
_ONE_TAKE: Mapping[str, Any] = {"return_tokens": True, "split_sentences": False}
FAILED = "failed"  #: the metric: share of the takes that the guard lets be spoken again


@dataclass(frozen=True)
class Measure:
    """One number that the guard takes of a take. ``badness`` grows the worse the number is."""

    unit: str
    badness: Callable[[float], float]


MEASURES: Mapping[str, Measure] = {
    "pace": Measure("expected seconds", lambda value: abs(float(np.log(max(value, 1e-6))))),
    "repeats": Measure("share", lambda value: -value),
    "loop": Measure("share", lambda value: value),
    "level": Measure("dBFS", lambda value: -value),
    "change": Measure("dB", lambda value: -value),
}


def measure(
    client: BarkClient,
    bundle: Bundle,
    texts: Sequence[str],
    *,
    voices: Sequence[str | None],
    on_step: Callable[[str], None],
) -> list[Measurement]:
    """Each measure of each take by condition, and the share of failed takes by verdict."""
    limits = bundle.spec.guard or GuardSpec()
    found: list[Measurement] = []
    for condition, options in CONDITIONS.items():
        on_step(condition)
        spoken = [*texts] * (len(voices) if condition == GOOD else 1)
        takes = speak_all(client, spoken, voices=voices, **_ONE_TAKE, **options)
        measured = [measures(take, bundle.spec) for take in takes]
        for name, one in MEASURES.items():
            values = tuple(numbers[name] for numbers in measured)
            found.append(_neither(condition, name, unit=one.unit, values=values))
        found.append(_failed(condition, [judged(take, bundle.spec, limits) for take in takes]))
    return found


def _neither(condition: str, name: str, *, unit: str, values: tuple[float, ...]) -> Measurement:
    return Measurement(case=condition, subject=name, metric="value", unit=unit, better="neither", samples=values)


def _failed(condition: str, verdicts: Sequence[Verdict]) -> Measurement:
    shares: dict[str, Fact] = {name: verdicts.count(name) / len(verdicts) for name in VERDICTS if name in verdicts}
    failed = 1 - verdicts.count("good") / len(verdicts)
    facts = {"takes": len(verdicts), **shares}
    return Measurement(case=condition, subject="guard", metric=FAILED, unit="share", samples=(failed,), facts=facts)


def measures(take: Speech, spec: Spec) -> dict[str, float]:
    """What the guard measures of a take, by name."""
    tokens = _semantic(take)
    limits = spec.guard or GuardSpec()
    seconds = len(tokens) / spec.semantic.rate_hz
    return {
        "pace": seconds / _expected_s(take, spec),
        "repeats": repeat_share(tokens),
        "loop": loop_share(tokens, max_period=round(limits.loop_s * spec.semantic.rate_hz)),
        "level": level_dbfs(take.samples, sample_rate=take.sample_rate) if take.samples.size else -120.0,
        "change": change_db(take.samples, sample_rate=take.sample_rate) if take.samples.size else 0.0,
    }


def judged(take: Speech, spec: Spec, limits: GuardSpec) -> Verdict:
    """The guard's verdict on a take, by its tokens and its audio."""
    tokens = _semantic(take)
    by_tokens = judge_tokens(
        tokens,
        ended=len(tokens) < spec.semantic.max_steps,
        expected_s=_expected_s(take, spec),
        rate_hz=spec.semantic.rate_hz,
        limits=limits,
    )
    return worse(by_tokens, judge_audio(take.samples, sample_rate=take.sample_rate, limits=limits))


def roc(good: Sequence[float], spoiled: Sequence[float]) -> tuple[list[float], list[float]]:
    """Shares of good and of spoiled takes that fail, for every limit; both lists grow. Higher values are worse."""
    limits = sorted({*good, *spoiled}, reverse=True)
    shares = [(np.mean(np.greater_equal(good, limit)), np.mean(np.greater_equal(spoiled, limit))) for limit in limits]
    return [0.0, *(float(share) for share, _ in shares)], [0.0, *(float(share) for _, share in shares)]


def _semantic(take: Speech) -> Ids:
    return np.empty(0, np.int32) if take.tokens is None else np.asarray(take.tokens.semantic_prompt)


def _expected_s(take: Speech, spec: Spec) -> float:
    return pace.seconds(take.text, language="en") / spec.text.pace
