"""A server under load: perf_analyzer runs a sweep of loads; each load gives latencies and audio throughput."""

from __future__ import annotations

import json
import re
import tempfile
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bark_serving.profiles import STAGES
from benchmarks.errors import BenchmarkError
from benchmarks.results import SPEED, Fact, Measurement
from benchmarks.serve.perf_analyzer import Load, Spoken, Tool, profile
from benchmarks.servers import Target
from benchmarks.work import ENDLESS

#: By length: a text, and the seconds of speech of each of its sentences if lengths are fixed.
TEXTS: Mapping[str, tuple[str, float]] = {
    "short": ("Good morning.", 2.0),
    "medium": ("The train to the coast leaves from the other platform today.", 5.0),
    "long": (
        "The boats had left long before the sun came up. Only the gulls were there to watch the ferry turn. "
        "Then the harbour was quiet again.",
        10 / 3,
    ),
}
_SEEDS = 4  #: seeds per text
KNEE_SHARE = 0.9  #: the knee is the lowest load with this share of the best throughput
_MIN_GAIN = 1.05  #: throughput must grow by this factor when the load doubles; else the sweep is flat
RATE_SHARES = (0.5, 0.8, 1.0)  #: of the sweep's highest requests per second
_COUNTER = re.compile(
    r'^bark_(?:stage_seconds|requests)_total\{(?:[^}]*,)?(?:stage|outcome)="(\w+)"[^}]*\} (\S+)$', re.MULTILINE
)
_SPOKEN = "spoken"


def write_data(path: Path, *, stream: bool, fixed: bool, options: Mapping[str, int] | None = None) -> Path:
    """Write perf_analyzer's input: every text with `_SEEDS` seeds, lengths mixed, each with the same ``options``."""
    extra = {name: [value] for name, value in (options or {}).items()}
    steps: list[dict[str, Any]] = []
    for seed in range(_SEEDS):
        for text, seconds in TEXTS.values():
            step: dict[str, Any] = {"text": [text], "seed": [seed], "stream": [stream], **extra}
            if fixed:  # floats need a decimal point: the parser reads 5 as an integer
                step |= {"max_duration": [round(float(seconds), 3)], "min_eos_p": [float(ENDLESS)]}
            steps.append(step)
    path.write_text(json.dumps({"data": steps}))
    return path


@dataclass(frozen=True)
class Sweep:
    """The loads of a server, and how each is measured."""

    tool: Tool
    max_concurrency: int  #: concurrency doubles from 1 up to this
    requests_each: int  #: requests of a load, divided by its concurrency
    least_requests: int  #: fewest requests of a load
    timeout_s: float  #: of one load
    rates: bool = True  #: also random arrivals
    whole: bool = True  #: also without streaming
    fixed: bool = True  #: speech has fixed lengths
    all_points: bool = False  #: never end the sweep early

    @property
    def concurrencies(self) -> list[int]:
        return [2**power for power in range(self.max_concurrency.bit_length())]

    @property
    def modes(self) -> dict[str, bool]:
        """By subject: whether it is streamed."""
        return {"streamed": True, **({"whole": False} if self.whole else {})}

    def point_count(self) -> int:
        return len(self.modes) * (len(self.concurrencies) + (len(RATE_SHARES) if self.rates else 0))

    def requests(self, concurrency: int) -> int:
        return max(self.least_requests, self.requests_each * concurrency)

    def settings(self, measured: Sequence[Measurement]) -> dict[str, Any]:
        """The settings that the result records."""
        names = ("requests_each", "least_requests", "rates", "whole", "fixed", "all_points")
        found = {name: getattr(self, name) for name in names}
        return {**found, "perf_analyzer": self.tool.version, "knee_concurrency": knee_of(measured, "streamed")}


def run_all(
    sweep: Sweep, server: Target, *, options: Mapping[str, Any], on_step: Callable[[str], None]
) -> tuple[list[Measurement], list[str]]:
    """Measurements and notes of every mode. Raises `BenchmarkError` if no load could be measured."""
    measured: list[Measurement] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, stream in sweep.modes.items():
            data = write_data(Path(folder) / f"{name}.json", stream=stream, fixed=sweep.fixed, options=options)
            of_mode, notes_of_mode = run(sweep, name, server, data, on_step=on_step)
            measured, notes = measured + of_mode, notes + notes_of_mode
    if not measured:
        raise BenchmarkError("No load could be measured. " + " ".join(notes[:2]), remedy="Look at the server's log.")
    return measured, notes


def run(
    sweep: Sweep, subject: str, server: Target, data: Path, *, on_step: Callable[[str], None]
) -> tuple[list[Measurement], list[str]]:
    """Measurements of every load that could be measured, and notes about the others."""
    measurements: list[Measurement] = []
    notes: list[str] = []
    speeds: dict[int, float] = {}
    best_rate = 0.0

    def point(load: Load, requests: int) -> list[Spoken]:
        on_step(f"{subject}: {load.name}, {requests} requests")
        before = _counters(server, notes)
        try:
            spoken = profile(sweep.tool, load, url=server.url, data=data, requests=requests, timeout_s=sweep.timeout_s)
        except BenchmarkError as error:
            notes.append(f"{subject}, {error.problem}")
            return []
        good = [one for one in spoken if one.report is not None]
        if len(good) < len(spoken):
            notes.append(f"{subject}, {load.name}: {len(spoken) - len(good)} of {len(spoken)} requests failed.")
        if good:
            stages = stage_means(before, _counters(server, notes))
            measurements.extend(summarise(good, load=load, subject=subject, stages=stages))
        return good

    for concurrency in sweep.concurrencies:
        spoken = point(Load(concurrency=concurrency), sweep.requests(concurrency))
        if not spoken:
            continue
        kept = pace(spoken, concurrency)
        speeds[concurrency] = kept.audio
        best_rate = max(best_rate, kept.requests)
        if not sweep.all_points and is_flat(list(speeds.values())):
            notes.append(f"{subject}: the sweep ended at {concurrency} requests in flight, as throughput grew no more.")
            break
    if sweep.rates and best_rate:
        for share in RATE_SHARES:
            point(Load(rate=round(share * best_rate, 4)), sweep.least_requests)
    return measurements, notes


def _counters(server: Target, notes: list[str]) -> dict[str, float]:
    """The server's counters so far: seconds by stage, and requests by outcome."""
    if server.metrics is None:
        return {}
    try:
        with urllib.request.urlopen(server.metrics, timeout=30) as answer:
            return read_counters(answer.read().decode())
    except OSError as error:
        notes.append(f"The server's metrics could not be read ({error}).")
        return {}


def read_counters(metrics: str) -> dict[str, float]:
    """Seconds by stage and requests by outcome, from the text of ``/metrics``."""
    return {label: float(value) for label, value in _COUNTER.findall(metrics)}


def stage_means(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Seconds per request in each stage between two reads of the counters; empty if a read failed."""
    requests = after.get(_SPOKEN, 0) - before.get(_SPOKEN, 0) if before and after else 0
    if not requests:
        return {}
    return {stage: (after[stage] - before.get(stage, 0)) / requests for stage in STAGES if stage in after}


@dataclass(frozen=True)
class Pace:
    """Throughput of a load."""

    requests: float  #: per second
    audio: float  #: seconds of audio per second
    in_flight: float  #: mean number of requests in flight


def pace(spoken: Sequence[Spoken], in_flight: int | None = None) -> Pace:
    """Throughput while the whole load is in flight, so that neither the start nor the drain counts.

    This window begins when ``in_flight`` requests have ended and ends when ``in_flight`` requests are left. Each
    request counts with the share of its time that lies in the window, so that requests cut off at the end make up for
    those cut off at the beginning. With too few requests for such a window, or without a fixed concurrency, the window
    lasts from the first request to the last answer.
    """
    ends = sorted(one.ended for one in spoken)
    if in_flight and len(ends) > 2 * in_flight:
        begin, end = ends[in_flight - 1], ends[-in_flight - 1]
    else:
        begin, end = min(one.started for one in spoken), ends[-1]
    between = [max(0.0, min(one.ended, end) - max(one.started, begin)) for one in spoken]
    shares = [time / (one.ended - one.started) for one, time in zip(spoken, between, strict=True)]
    audio = sum(share * one.audio_seconds for one, share in zip(spoken, shares, strict=True))
    seconds = end - begin
    return Pace(sum(shares) / seconds, audio / seconds, sum(between) / seconds)


def is_flat(speeds: Sequence[float]) -> bool:
    """Whether neither of the last two doublings of the load gave more throughput than the best before them."""
    if len(speeds) < 3:
        return False
    before = max(speeds[:-2])
    return all(speed < _MIN_GAIN * before for speed in speeds[-2:])


def knee(speeds: Mapping[int, float]) -> int | None:
    """The lowest load with `KNEE_SHARE` of the best throughput. Above it, more load mainly means more waiting."""
    if not speeds:
        return None
    best = max(speeds.values())
    return min(load for load, speed in speeds.items() if speed >= KNEE_SHARE * best)


def knee_of(measurements: Sequence[Measurement], subject: str) -> int | None:
    """The knee of a subject's sweep over concurrencies."""
    speeds = {
        int(m.case.split()[1]): m.median
        for m in measurements
        if m.metric == SPEED and m.subject == subject and m.case.startswith("concurrency ")
    }
    return knee(speeds)


def summarise(
    spoken: Sequence[Spoken], *, load: Load, subject: str, stages: Mapping[str, float] | None = None
) -> list[Measurement]:
    """Throughput of a load, and every request's latency, time to first audio, real-time factor and stage times.

    stages: mean seconds per request in each stage, by the server's counters. They are a metric of their own, beside
    the stage times that the requests report.
    """
    lengths = {text: length for length, (text, _) in TEXTS.items()}
    samples: dict[str, list[float]] = defaultdict(list)
    for one in spoken:
        latency = one.ended - one.started
        length = lengths.get(one.text)
        samples["latency"].append(latency)
        if one.audio_seconds:
            samples["real-time factor"].append(latency / one.audio_seconds)
        if one.first_audio is not None:
            samples["first audio"].append(one.first_audio - one.started)
        if length and one.first_audio is not None:
            samples[f"first audio, {length} text"].append(one.first_audio - one.started)
            samples[f"latency, {length} text"].append(latency)
        for stage, times in (one.report or {}).get("stages", {}).items():
            samples[f"{stage} stage"].append(float(times["seconds"]))
    for stage, mean in (stages or {}).items():
        samples[f"{stage} stage, mean"].append(mean)
    case, kept = load.name, pace(spoken, load.concurrency)
    facts: dict[str, Fact] = {
        "requests": len(spoken),
        "audio_seconds": round(sum(one.audio_seconds for one in spoken), 3),
        "requests_a_second": round(kept.requests, 4),
        "in_flight": round(kept.in_flight, 2),
    }
    found = [
        Measurement(
            case=case, subject=subject, metric=SPEED, unit="×", better="higher", samples=(kept.audio,), facts=facts
        )
    ]
    for metric, values in samples.items():
        unit = "×" if metric == "real-time factor" else "s"
        rounded = tuple(float(np.round(value, 5)) for value in values)
        found.append(Measurement(case=case, subject=subject, metric=metric, unit=unit, samples=rounded))
    return found
