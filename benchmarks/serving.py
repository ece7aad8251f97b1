"""A server under load: a sweep of perf_analyzer's points, the knee in it, what each point means in audio."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.errors import BenchmarkError
from benchmarks.perf_analyzer import Load, Spoken, Tool, profile
from benchmarks.results import Measurement
from benchmarks.tables import SPEED
from benchmarks.work import ENDLESS

#: Texts by length, and the seconds of speech that each of its sentences is given where lengths are fixed.
TEXTS: Mapping[str, tuple[str, float]] = {
    "short": ("Good morning.", 2.0),
    "medium": ("The train to the coast leaves from the other platform today.", 5.0),
    "long": (
        "The boats had left long before the sun came up. Only the gulls were there to watch the ferry turn. "
        "Then the harbour was quiet again.",
        10 / 3,
    ),
}
_SEEDS = 4  #: of each text
#: A load counts as the knee when it reaches this share of the best throughput.
KNEE_SHARE = 0.9
_FLAT = 1.05  #: less gain than this for twice the load is none
RATE_SHARES = (0.5, 0.8, 1.0)  #: of the most requests a second that the sweep found


def write_data(path: Path, *, stream: bool, fixed: bool, texts: Mapping[str, tuple[str, float]] = TEXTS) -> Path:
    """perf_analyzer's input: every text with some seeds, lengths mixed."""
    steps: list[dict[str, Any]] = []
    for seed in range(_SEEDS):
        for text, seconds in texts.values():
            step: dict[str, Any] = {"text": [text], "seed": [seed], "stream": [stream]}
            if fixed:  # floats must be written with a point: the parser takes 5 for an integer
                step |= {"max_duration": [round(float(seconds), 3)], "min_eos_p": [float(ENDLESS)]}
            steps.append(step)
    path.write_text(json.dumps({"data": steps}))
    return path


@dataclass(frozen=True)
class Sweep:
    """How to load a server."""

    tool: Tool
    url: str
    data: Path
    concurrencies: Sequence[int]
    requests_each: int  #: per request in flight
    least_requests: int
    timeout: float  #: seconds a point may take
    rates: bool = True
    all_points: bool = False  #: go on where more load no longer gives more

    def requests(self, concurrency: int) -> int:
        return max(self.least_requests, self.requests_each * concurrency)


def run(sweep: Sweep, subject: str, *, on_step: Callable[[str], None]) -> tuple[list[Measurement], list[str]]:
    """Measurements of every point that could be had, and notes about the others."""
    measurements: list[Measurement] = []
    notes: list[str] = []
    speeds: dict[int, float] = {}
    best_rate = 0.0

    def point(load: Load, requests: int) -> list[Spoken] | None:
        on_step(f"{subject}: {load.name}, {requests} requests")
        try:
            spoken = profile(sweep.tool, load, url=sweep.url, data=sweep.data, requests=requests, timeout=sweep.timeout)
        except BenchmarkError as error:
            notes.append(f"{subject}, {error.problem}")
            return None
        failed = sum(one.report is None for one in spoken)
        if failed:
            notes.append(f"{subject}, {load.name}: {failed} of {len(spoken)} requests failed.")
        return [one for one in spoken if one.report is not None] or None

    for concurrency in sweep.concurrencies:
        spoken = point(Load(concurrency=concurrency), sweep.requests(concurrency))
        if spoken is None:
            continue
        measurements += summarise(spoken, case=f"concurrency {concurrency}", subject=subject)
        speeds[concurrency] = throughput(spoken)
        best_rate = max(best_rate, len(spoken) / span(spoken))
        if not sweep.all_points and is_flat(list(speeds.values())):
            notes.append(f"{subject}: more than {concurrency} requests in flight gave no more and were left out.")
            break
    if sweep.rates and best_rate:
        for share in RATE_SHARES:
            load = Load(rate=round(share * best_rate, 4))
            spoken = point(load, sweep.least_requests)
            if spoken is not None:
                measurements += summarise(spoken, case=load.name, subject=subject)
    return measurements, notes


def span(spoken: Sequence[Spoken]) -> float:
    """Seconds from the first request to the last answer."""
    return max(one.ended for one in spoken) - min(one.started for one in spoken)


def throughput(spoken: Sequence[Spoken]) -> float:
    """Seconds of audio a second of wall time."""
    return sum(one.audio_seconds for one in spoken) / span(spoken)


def is_flat(speeds: Sequence[float]) -> bool:
    """Whether the last two steps up gave nothing: neither is better than the best before them."""
    if len(speeds) < 3:
        return False
    before = max(speeds[:-2])
    return all(speed < _FLAT * before for speed in speeds[-2:])


def knee(speeds: Mapping[int, float]) -> int | None:
    """The least load that reaches nearly the best throughput: from there on, more load only means waiting."""
    if not speeds:
        return None
    best = max(speeds.values())
    return min(load for load, speed in speeds.items() if speed >= KNEE_SHARE * best)


def knee_of(measurements: Sequence[Measurement], subject: str) -> int | None:
    """The knee of a subject's sweep of concurrencies."""
    speeds = {
        int(m.case.split()[1]): m.median
        for m in measurements
        if m.metric == SPEED and m.subject == subject and m.case.startswith("concurrency ")
    }
    return knee(speeds)


def summarise(spoken: Sequence[Spoken], *, case: str, subject: str) -> list[Measurement]:
    """Throughput of a point, and every request's latency, time to first audio, real-time factor and stage times."""
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
    facts = {"requests": len(spoken), "audio_seconds": round(sum(one.audio_seconds for one in spoken), 3)}
    found = [
        Measurement(
            case=case,
            subject=subject,
            metric=SPEED,
            unit="×",
            better="higher",
            samples=(throughput(spoken),),
            facts={**facts, "requests_a_second": round(len(spoken) / span(spoken), 4)},
        )
    ]
    for metric, values in samples.items():
        unit = "×" if metric == "real-time factor" else "s"
        rounded = tuple(float(np.round(value, 5)) for value in values)
        found.append(Measurement(case=case, subject=subject, metric=metric, unit=unit, samples=rounded))
    return found
