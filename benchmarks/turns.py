"""Measures several subjects in turns (A B C A B C …), so that other load on the machine affects all alike."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

SECONDS = "seconds"
Run = Callable[[], Mapping[str, float] | None]  #: one run; may return more metrics by name


@dataclass(frozen=True)
class Subject:
    """Something to measure. `run` is timed; `warm` runs once before and is not timed."""

    name: str
    run: Run
    warm: Callable[[], object] | None = None


def in_turns(
    subjects: Sequence[Subject],
    *,
    repeats: int,
    on_run: Callable[[str], None] = lambda label: None,
) -> dict[str, dict[str, list[float]]]:
    """Samples by subject and metric. ``seconds`` is measured here, unless the run returns its own.

    First every subject is warmed up. Then all of them run once; this repeats `repeats` times.
    """
    samples: dict[str, dict[str, list[float]]] = {subject.name: defaultdict(list) for subject in subjects}
    for subject in subjects:
        if subject.warm is not None:
            on_run(f"{subject.name}: warm-up")
            subject.warm()
    for turn in range(repeats):
        for subject in subjects:
            on_run(f"{subject.name}: {turn + 1} of {repeats}")
            started = time.perf_counter()
            reported = subject.run()
            metrics = {SECONDS: time.perf_counter() - started, **(reported or {})}
            for metric, value in metrics.items():
                samples[subject.name][metric].append(float(value))
    return {name: dict(metrics) for name, metrics in samples.items()}
