"""Measuring several subjects in turns: A B C A B C …, so that whatever the machine does meanwhile hits all alike."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

SECONDS = "seconds"
#: One run; may return further metrics by name.
Run = Callable[[], Mapping[str, float] | None]


@dataclass(frozen=True)
class Subject:
    """Something to measure: `run` is timed, `warm` runs once before and is not."""

    name: str
    run: Run
    warm: Callable[[], object] | None = None


def in_turns(
    subjects: Sequence[Subject],
    *,
    repeats: int,
    on_run: Callable[[str], None] = lambda label: None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, dict[str, list[float]]]:
    """Samples by subject and metric; ``seconds`` is measured here unless the run reports its own.

    Every subject is warmed up first, then all of them run once, `repeats` times over.
    """
    samples: dict[str, dict[str, list[float]]] = {subject.name: defaultdict(list) for subject in subjects}
    for subject in subjects:
        if subject.warm is not None:
            on_run(f"{subject.name}: warm-up")
            subject.warm()
    for turn in range(repeats):
        for subject in subjects:
            on_run(f"{subject.name}: {turn + 1} of {repeats}")
            started = clock()
            further = subject.run()
            metrics = {SECONDS: clock() - started, **(further or {})}
            for metric, value in metrics.items():
                samples[subject.name][metric].append(float(value))
    return {name: dict(metrics) for name, metrics in samples.items()}


def run_count(subjects: Sequence[Subject], *, repeats: int) -> int:
    """How many times `in_turns` calls ``on_run``."""
    return sum(repeats + (subject.warm is not None) for subject in subjects)
