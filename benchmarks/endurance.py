"""A server for a long time: requests without a pause, memory and latency over time, and whether they drift."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from bark_client import BarkClient, BarkError
from benchmarks.errors import BenchmarkError
from benchmarks.results import Measurement
from benchmarks.servers import Target
from benchmarks.serving import TEXTS
from benchmarks.statistics import line
from benchmarks.work import ENDLESS

_SETTLING = 0.2  #: share of the time in which pools and caches fill: no drift
_SHORTEST = 120.0  #: seconds below which a drift an hour is not worth stating
_KEPT = 2_000  #: points of a longer series, chosen by lot: what is computed of them is true of all
_Asked: TypeAlias = tuple[str, Mapping[str, Any]]  #: a text, and inputs beside it


@dataclass
class _Log:
    """What the clients and the watcher write down; times in seconds since the start."""

    started: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)
    series: dict[tuple[str, str], list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)

    def add(self, subject: str, metric: str, value: float) -> None:
        with self.lock:
            self.series[subject, metric].append((time.monotonic() - self.started, value))


@dataclass(frozen=True)
class Soak:
    """What was seen, until the end or until something ended it."""

    measurements: Sequence[Measurement]  #: memory by process, latency, time to first audio
    requests: int
    seconds: float
    notes: Sequence[str]
    whole: bool  #: False: it was ended early, as the notes say


def soak(
    target: Target,
    *,
    seconds: float,
    clients: int,
    fixed: bool,
    interval: float = 5.0,
    options: Mapping[str, Any] | None = None,
    on_step: Callable[[str], None] = lambda label: None,
) -> Soak:
    """Load a server and watch it. A server of this machine that ends, or Ctrl-C, ends this early.

    options: further inputs of every request. Raises `BenchmarkError` when no request succeeds.
    """
    log, end = _Log(), threading.Event()
    ended = ""
    asked = [
        (text, {**(options or {}), **({"max_duration": duration, "min_eos_p": ENDLESS} if fixed else {})})
        for text, duration in TEXTS.values()
    ]
    threads = [
        threading.Thread(target=_speak, args=(target.url, log, end, number, clients, asked), daemon=True)
        for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    deadline = log.started + seconds
    try:
        while (left := deadline - time.monotonic()) > 0:
            target.check()
            memory = target.memory()
            for process, size in (memory or {}).items():
                log.add(process, "memory", size / 1e9)
            if memory:
                log.add("all processes", "memory", sum(memory.values()) / 1e9)
            done = len(log.series["requests", "latency"])
            on_step(f"{(seconds - left) / 60:.1f} of {seconds / 60:g} min, {done} requests, {len(log.errors)} failed")
            end.wait(min(interval, left))
    except BenchmarkError as error:
        ended = error.problem
    except KeyboardInterrupt:
        ended = "It was interrupted."
    finally:
        end.set()
    taken = time.monotonic() - log.started
    for thread in threads:
        thread.join()
    requests = len(log.series["requests", "latency"])
    if not requests:
        raise BenchmarkError(ended or f"No request succeeded: {(log.errors or ['none was sent'])[0]}")
    notes = [f"{len(log.errors)} requests failed; the first: {log.errors[0]}"] if log.errors else []
    if ended:
        notes.append(f"Only {taken / 60:.1f} of {seconds / 60:g} min were measured. {ended}")
    measurements = [_measurement(*key, points) for key, points in log.series.items() if points]
    return Soak(measurements, requests, min(taken, seconds), notes, whole=not ended)


def _speak(url: str, log: _Log, end: threading.Event, number: int, clients: int, asked: Sequence[_Asked]) -> None:
    """One client: texts of all lengths in turn, a new seed each, until the end."""
    with BarkClient(url) as client:
        turn = number
        while not end.is_set():
            text, options = asked[turn % len(asked)]
            begun, first = time.perf_counter(), None
            try:
                with client.stream(text, seed=turn, **options) as stream:
                    for _ in stream:
                        first = first or time.perf_counter() - begun
            except BarkError as error:
                log.errors.append(str(error))
                end.wait(1.0)  # a server that refuses at once must not be hammered
            else:
                log.add("requests", "latency", time.perf_counter() - begun)
                if first is not None:
                    log.add("requests", "first audio", first)
            turn += clients


def _measurement(subject: str, metric: str, points: list[tuple[float, float]]) -> Measurement:
    times, values = [time for time, _ in points], [value for _, value in points]
    settled = [point for point in points if point[0] >= _SETTLING * times[-1]]
    long_enough = times[-1] >= _SHORTEST and len(settled) > 2
    drift = round(3600 * line(*zip(*settled, strict=True)).slope, 6) if long_enough else None
    kept = _thinned(points)
    return Measurement(
        case="soak",
        subject=subject,
        metric=metric,
        unit="GB" if metric == "memory" else "s",
        samples=tuple(round(value, 5) for _, value in kept),
        times=tuple(round(time, 2) for time, _ in kept),
        facts={"drift_an_hour": drift, "median_of_all": round(float(np.median(values)), 5)},
    )


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points in order, of a long series some."""
    if len(points) <= _KEPT:
        return list(points)
    return [points[index] for index in np.sort(np.random.default_rng(0).choice(len(points), _KEPT, replace=False))]
