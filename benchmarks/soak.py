"""`soak`: loads a server for an hour and watches its memory and latency over time."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeAlias

import numpy as np
import typer

from bark_client import BarkClient, BarkError
from bark_serving.cli.console import console
from benchmarks import machine, results, servers, variants
from benchmarks import options as opt
from benchmarks.errors import BenchmarkError
from benchmarks.plots import INK, colours_of, server_of, tidy
from benchmarks.results import Measurement, Result
from benchmarks.running import errors_shown, finish, prepare, require
from benchmarks.serve.measure import TEXTS
from benchmarks.servers import Target
from benchmarks.statistics import line
from benchmarks.tables import Table, caption, number
from benchmarks.work import ENDLESS

_MAX_DRAWN = 7  #: processes in the picture; the table has all
_SETTLING_SHARE = 0.2  #: share of the time in which pools and caches fill; it does not count as drift
_MIN_DRIFT_S = 120.0  #: a shorter run is too short for a drift per hour
MAX_KEPT = 2_000  #: samples of a series that are kept: a random choice, so that its statistics stay the same
_Asked: TypeAlias = tuple[str, Mapping[str, Any]]  #: a text, and the other inputs of its request


def command(
    url: opt.Url = None,
    size: opt.Size = "tiny",
    bundle: opt.Bundle = None,
    variant: opt.OneVariant = "cpu int8",
    minutes: Annotated[float, typer.Option(min=0.05, help="Duration. An hour is long enough to see a leak.")] = 60.0,
    clients: Annotated[int, typer.Option(min=1, max=256, help="Number of requests in flight.")] = 4,
    fixed: Annotated[bool, typer.Option("--fixed/--natural", help="Fix the durations of speech.")] = True,
    interval: Annotated[float, typer.Option(min=0.2, help="Seconds between two readings of the memory.")] = 5.0,
    threads: opt.Threads = None,
    engines: opt.Engines = opt.ENGINES,
    output: opt.Output = None,
) -> None:
    """Load a server for an hour: memory of each model and latency of each request over time, and their drift.

    Memory is measured if this command or `bark-serve` started the server on this machine. If the server ends early, or
    you press Ctrl-C, the figures so far are written and the exit status is 1.

    Try it: `python -m benchmarks soak --size tiny --minutes 0.5`

    To keep: `python -m benchmarks soak --size small -o benchmarks/results/soak-small.json`
    """
    with errors_shown():
        require("matplotlib")
        here, count, chosen = machine.describe(), opt.threads_of(threads), variants.find(variant)
        prepared = None if url else prepare(size, bundle, variants=[chosen], engines=engines)
        target = servers.target(url, prepared, variant=chosen, threads=count)
        with target as server, console.status("starting") as status:
            seen = soak(
                server, seconds=60 * minutes, clients=clients, fixed=fixed, interval=interval,
                options=servers.options_of(prepared, chosen), on_step=status.update,
            )  # fmt: skip
        what = url.replace(":", "-") if url else (bundle.name if bundle else size)
        settings = {
            **servers.described(url, chosen, bundle=what, threads=count),
            "minutes": round(seen.seconds / 60, 2),
            "clients": clients,
            "fixed": fixed,
            "interval": interval,
            "requests": seen.requests,
        }
        result = results.make("soak", seen.measurements, on=here, settings=settings, notes=seen.notes)
        finish(result, opt.output_of(output, "soak", what=what), table=table, plot=plot)
        if not seen.whole:
            raise typer.Exit(1)


@dataclass
class _Log:
    """The samples of the clients and of the memory, by subject and metric. Times are in seconds since the start."""

    started: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)
    series: dict[tuple[str, str], list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)

    def add(self, subject: str, metric: str, value: float) -> None:
        with self.lock:
            self.series[subject, metric].append((time.monotonic() - self.started, value))


@dataclass(frozen=True)
class Soak:
    """The outcome of a run, whole or ended early."""

    measurements: Sequence[Measurement]  #: memory by process, latency, time to first audio
    requests: int
    seconds: float
    notes: Sequence[str]
    whole: bool  #: False: it ended early, and a note says why


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
    """Load a server and watch it. The run ends early if the server's process ends, or with Ctrl-C.

    options: more inputs of every request. Raises `BenchmarkError` if no request succeeds.
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
        while (remaining := deadline - time.monotonic()) > 0:
            target.check()
            memory = target.memory()
            for process, size in (memory or {}).items():
                log.add(process, "memory", size / 1e9)
            if memory:
                log.add("all processes", "memory", sum(memory.values()) / 1e9)
            done = len(log.series["requests", "latency"])
            elapsed = (seconds - remaining) / 60
            on_step(f"{elapsed:.1f} of {seconds / 60:g} min, {done} requests, {len(log.errors)} failed")
            end.wait(min(interval, remaining))
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
    """One client: speaks texts of all lengths in turn, each with a new seed, until ``end`` is set."""
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
                end.wait(1.0)  # do not flood a server that refuses at once
            else:
                log.add("requests", "latency", time.perf_counter() - begun)
                if first is not None:
                    log.add("requests", "first audio", first)
            turn += clients


def _measurement(subject: str, metric: str, points: list[tuple[float, float]]) -> Measurement:
    times, values = [time for time, _ in points], [value for _, value in points]
    settled = [point for point in points if point[0] >= _SETTLING_SHARE * times[-1]]
    long_enough = times[-1] >= _MIN_DRIFT_S and len(settled) > 2
    drift = round(3600 * line(*zip(*settled, strict=True)).slope, 6) if long_enough else None
    kept = thin(points)
    return Measurement(
        case="soak",
        subject=subject,
        metric=metric,
        unit="GB" if metric == "memory" else "s",
        samples=tuple(round(value, 5) for _, value in kept),
        times=tuple(round(time, 2) for time, _ in kept),
        facts={"drift_an_hour": drift, "median_of_all": round(float(np.median(values)), 5)},
    )


def thin(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points in order. Of a long series, `MAX_KEPT` points are chosen at random."""
    if len(points) <= MAX_KEPT:
        return list(points)
    return [points[index] for index in np.sort(np.random.default_rng(0).choice(len(points), MAX_KEPT, replace=False))]


def table(result: Result) -> Table:
    rows = []
    for found in result.measurements:
        drift = found.facts.get("drift_an_hour")
        first, last = found.samples[0], found.samples[-1]
        median = float(str(found.facts.get("median_of_all", found.median)))  # not all samples may be kept
        rows.append(
            [
                f"{found.subject} {found.metric}".strip(),
                f"{number(first)} {found.unit}",
                f"{number(last)} {found.unit}",
                f"{number(median)} {found.unit}",
                f"{float(drift):+.3g} {found.unit}" if drift is not None else "",
            ]
        )
    header = ["", "first", "last", "median", "drift per hour"]
    more = [f"{number(float(result.settings['minutes']))} min, {result.settings['requests']} requests"]
    return Table(header, rows, caption(result, more=more))


def plot(result: Result, figure: Any) -> None:
    """Above: memory over time, by model. Below: latency of each request."""
    above, below = figure.subplots(2, 1, sharex=True)
    memory = sorted((m for m in result.measurements if m.metric == "memory"), key=lambda m: -m.median)[:_MAX_DRAWN]
    colours = colours_of([m.subject for m in memory])
    for m in memory:
        label = f"{m.subject}{_drift(m)}"
        above.plot(_minutes(result, m), m.samples, color=colours[m.subject], label=label, linewidth=1.4)
    above.set_ylabel("GB")
    above.set_ylim(bottom=0)
    tidy(above, f"Memory of the server and of its largest processes: {server_of(result)}")
    if memory:
        above.legend(frameon=False, fontsize=7, labelcolor=INK, loc="center left", bbox_to_anchor=(1.0, 0.5))
    for m in (m for m in result.measurements if m.metric in ("latency", "first audio")):
        below.plot(_minutes(result, m), m.samples, ".", markersize=3, alpha=0.6, label=f"{m.metric}{_drift(m)}")
    below.set_ylabel("seconds")
    below.set_xlabel("minutes")
    below.set_ylim(bottom=0)
    tidy(below, "Requests")
    below.legend(frameon=False, fontsize=7, labelcolor=INK, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _minutes(result: Result, m: Measurement) -> Any:
    """The time of each sample in minutes. In older results without times, samples are spread evenly."""
    return np.array(m.times) / 60 if m.times else np.linspace(0, float(result.settings["minutes"]), len(m.samples))


def _drift(m: Measurement) -> str:
    drift = m.facts.get("drift_an_hour")
    return f" ({float(drift):+.3g} {m.unit}/h)" if drift is not None else ""
