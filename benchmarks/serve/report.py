"""Table and picture of `serve`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bark_serving.profiles import STAGES
from benchmarks.plots import MUTED, colours_of, legend, server_of, tidy
from benchmarks.results import SPEED, Measurement, Result
from benchmarks.statistics import is_enough, percentile
from benchmarks.tables import Table, caption, duration, number


def table(result: Result) -> Table:
    """One row per load. Above: throughput and percentiles. Below: medians by length of text, means by stage."""
    loads = [
        (f"{subject}, {case}", {m.metric: m for m in result.measurements if (m.case, m.subject) == (case, subject)})
        for subject in result.subjects(SPEED)
        for case in result.cases(SPEED)
        if result.find(case=case, subject=subject, metric=SPEED)
    ]
    rows, details = [], []
    stages = [stage for stage in STAGES if any(f"{stage} stage" in found for _, found in loads)]
    for name, found in loads:
        cells = [str(found[SPEED].facts["requests"]), number(found[SPEED].median)]
        cells.append(number(found["real-time factor"].median) if "real-time factor" in found else "")
        for metric, percents in (("first audio", (50, 95)), ("latency", (50, 90, 95, 99))):
            cells += [_percentile(found.get(metric), percent) for percent in percents]
        rows.append([name, *cells])
        cells = [_percentile(found.get(f"{metric}, {length} text"), 50) for metric, length in _BY_LENGTH]
        details.append([name, *cells, *(_mean(found, stage) for stage in stages)])
    header = ["load", "requests", "audio s/s", "RTF", "first audio p50", "p95", "latency p50", "p90", "p95", "p99"]
    lengths = [f"{metric}, short" if length == "short" else length for metric, length in _BY_LENGTH]
    return Table(
        ["load", *lengths, *stages], details, caption(result, more=_notes(result)), above=Table(header, rows, "")
    )


_BY_LENGTH = [(metric, length) for metric in ("first audio", "latency") for length in ("short", "medium", "long")]


def _percentile(found: Measurement | None, percent: float) -> str:
    """The percentile; empty if there are too few samples for it."""
    return duration(percentile(found.samples, percent)) if found and is_enough(found.samples, percent) else ""


def _mean(found: Mapping[str, Measurement], stage: str) -> str:
    """Mean seconds per request in a stage: by the server's counters, or else by the requests' own reports."""
    measured = found.get(f"{stage} stage, mean") or found.get(f"{stage} stage")
    return duration(sum(measured.samples) / len(measured.samples)) if measured else ""


def _notes(result: Result) -> list[str]:
    settings = result.settings
    if "requests_each" in settings:
        each, least = settings["requests_each"], settings["least_requests"]
        notes = [f"at least {least} requests per load, and at least {each} × concurrency"]
        notes.append("throughput is measured while the whole load is in flight")
    else:
        notes = ["throughput is measured from the first request to the last answer, with ramp-up and drain"]
    if knee := settings.get("knee_concurrency"):
        notes.append(f"knee at a concurrency of {knee}")
    return [
        *notes,
        "columns by length of text are medians",
        "columns by stage are sums over sentences, mean per request",
    ]


def plot(result: Result, figure: Any) -> None:
    """Left: throughput over load. Right: time to the first and to all audio. Hollow marks are random arrivals."""
    left, right = figure.subplots(1, 2)
    for subject, colour in colours_of(result.subjects(SPEED)).items():
        speeds = [m for m in result.measurements if (m.subject, m.metric) == (subject, SPEED)]
        swept = [m for m in speeds if m.case.startswith("concurrency ")]
        _load_lines(left, right, result, swept, color=colour, label=subject, markersize=4)
        low, high = (_percentiles(result, swept, "latency", percent) for percent in (50, 95))
        right.fill_between([_in_flight(m) for m in swept], low, high, color=colour, alpha=0.12, linewidth=0)
        if at_random := sorted((m for m in speeds if "in_flight" in m.facts and m not in swept), key=_in_flight):
            how = {"color": colour, "markersize": 6, "markerfacecolor": "none", "linewidth": 0}
            _load_lines(left, right, result, at_random, label=f"{subject}, random arrivals", **how)
    cases = [case for case in result.cases(SPEED) if case.startswith("concurrency ")]
    _load_axes((left, right), sorted({int(case.split()[1]) for case in cases}), result.settings.get("knee_concurrency"))
    left.set_ylim(bottom=0)
    left.set_ylabel("seconds of audio per second")
    right.set_ylabel("seconds: p50, shaded up to p95")
    right.set_ylim(bottom=0)
    tidy(left, f"Throughput: {server_of(result)}")
    tidy(right, "What a client waits for")
    legend(left, loc="lower right")
    legend(right, loc="upper left")


def _load_lines(
    left: Any, right: Any, result: Result, speeds: Sequence[Measurement], *, label: str, **how: Any
) -> None:
    loads = [_in_flight(m) for m in speeds]
    left.plot(loads, [m.median for m in speeds], "o-", label=label, **how)
    right.plot(loads, _percentiles(result, speeds, "first audio", 50), "o-", label=f"{label}: first audio", **how)
    right.plot(loads, _percentiles(result, speeds, "latency", 50), "s--", label=f"{label}: all audio", **how)


def _in_flight(speed: Measurement) -> float:
    """Requests in flight; for random arrivals their mean."""
    if speed.case.startswith("concurrency "):
        return float(speed.case.split()[1])
    return float(str(speed.facts["in_flight"]))


def _percentiles(result: Result, speeds: Sequence[Measurement], metric: str, percent: float) -> list[float]:
    """Of each point; nan where its samples are too few."""
    found = [result.find(case=m.case, subject=m.subject, metric=metric) for m in speeds]
    return [percentile(m.samples, percent) if m and is_enough(m.samples, percent) else float("nan") for m in found]


def _load_axes(panels: Sequence[Any], loads: Sequence[int], knee: int | None) -> None:
    """A horizontal axis of powers of two, with a line at the knee."""
    for axes in panels:
        axes.set_xscale("log", base=2)
        axes.set_xticks(loads, [str(load) for load in loads])
        axes.set_xlabel("requests in flight")
        if knee:
            axes.axvline(knee, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
            axes.text(
                knee, 1.0, f" knee: {knee}", transform=axes.get_xaxis_transform(), va="top", fontsize=8, color=MUTED
            )
