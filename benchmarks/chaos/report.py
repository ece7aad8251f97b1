"""The outcome of a run as measurements, and the table and the picture of a result."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.chaos.faults import KINDS
from benchmarks.chaos.measure import Chaos, Struck
from benchmarks.plots import INK, MUTED, colours_of, legend, server_of, tidy
from benchmarks.results import Fact, Measurement, Result
from benchmarks.soak import thin
from benchmarks.tables import Table, caption, duration, number

BACK, DELAY, COUNT, MEMORY, LATENCY = "until the service is back", "until an error", "count", "memory", "latency"
RUN, ALL, SHARED = "whole run", "all processes", "shared memory"
MAX_ERROR_S, MAX_BACK_S, MAX_GROWTH = 5.0, 10.0, 0.05  #: the targets
_SHOWN_ERRORS = 3  #: different messages of errors that the result keeps for each fault


def measurements(chaos: Chaos, *, every: float) -> list[Measurement]:
    """One measurement per fault, and those of the whole run."""
    made = [_of_fault(number, one, chaos) for number, one in enumerate(chaos.struck, 1)]
    failed = [(answer.ended, chaos.delay(answer)) for answer in chaos.failed()]
    finished = [(answer.ended, answer.ended - answer.sent) for answer in chaos.answers if answer.outcome == "finished"]
    for metric, points in ((DELAY, failed), (LATENCY, finished)):
        if points:
            made.append(_over_time("requests", metric, "s", sorted(points)))
    if chaos.memory:
        sizes = [(at, sum(found.values()) / 1e9) for at, found in chaos.memory]
        made.append(_over_time(ALL, MEMORY, "GB", sizes, facts=_growth(chaos, every=every)))
    if chaos.shared:
        made.append(_over_time(SHARED, MEMORY, "GB", [(at, size / 1e9) for at, size in chaos.shared]))
    counts: dict[str, Fact] = {
        "finished": len(finished),
        "failed": len(failed),
        "wrong": chaos.wrong,
        "unworded": sum(not answer.worded for answer in chaos.failed()),
        "failed_though_back": sum(one.failed_though_back for one in chaos.struck),
        "started_from_outside": sum(one.back is None for one in chaos.struck),
        "processes_left": len(chaos.processes_left),
        "regions_left": chaos.regions_left,
    }
    total = (float(len(chaos.answers)),)
    made.append(
        Measurement(case=RUN, subject="requests", metric=COUNT, unit="", better="neither", samples=total, facts=counts)
    )
    return made


def _of_fault(number: int, one: Struck, chaos: Chaos) -> Measurement:
    messages = list(dict.fromkeys(answer.error for answer in one.failed))[:_SHOWN_ERRORS]
    delays = [chaos.delay(answer) for answer in one.failed]
    return Measurement(
        case=f"fault {number}",
        subject=one.fault.name,
        metric=BACK,
        samples=(round(one.until_back, 2),),
        times=(round(one.at, 2),),
        facts={
            "kind": one.fault.kind,
            "target": one.fault.target,
            "lasted_s": one.fault.seconds,
            "first_error_s": None if one.first_error is None else round(one.first_error, 2),
            "worst_delay_s": round(max(delays), 2) if delays else None,
            "finished": len(one.answers) - len(one.failed),
            "failed": len(one.failed),
            "failed_though_back": one.failed_though_back,
            "wrong": sum(answer.wrong for answer in one.answers),
            "unworded": sum(not answer.worded for answer in one.failed),
            "started_from_outside": one.back is None,
            "errors": "\n".join(messages) or None,
        },
    )


def _over_time(
    subject: str, metric: str, unit: str, points: Sequence[tuple[float, float]], facts: dict[str, Fact] | None = None
) -> Measurement:
    kept = thin(points)
    return Measurement(
        case=RUN,
        subject=subject,
        metric=metric,
        unit=unit,
        samples=tuple(round(value, 4) for _, value in kept),
        times=tuple(round(at, 2) for at, _ in kept),
        facts={"worst": round(max(value for _, value in points), 4), **(facts or {})},
    )


def _growth(chaos: Chaos, *, every: float) -> dict[str, Fact]:
    """The share by which the memory grew, of all and of each process: medians of the ends, which have no faults."""
    before = [found for at, found in chaos.memory if every / 2 <= at <= every]  # the first half fills pools and caches
    after = [found for at, found in chaos.memory if at >= chaos.seconds - every / 2]
    if not before or not after:
        return {}

    def size(readings: Sequence[dict[str, int]], names: Sequence[str]) -> float:
        return float(np.median([sum(found.get(name, 0) for name in names) for found in readings]))

    names = sorted({name for found in (*before, *after) for name in found})
    growths = {"growth": size(after, names) / size(before, names) - 1}
    growths |= {f"growth of {one}": size(after, [one]) / max(1.0, size(before, [one])) - 1 for one in names}
    return {name: round(share, 4) for name, share in growths.items()}


def faults_of(result: Result) -> list[Measurement]:
    return [m for m in result.measurements if m.metric == BACK]


def table(result: Result) -> Table:
    """Above: the targets, met or missed. Below: what each fault did."""
    by_name: dict[str, list[Measurement]] = defaultdict(list)
    for m in faults_of(result):
        by_name[m.subject].append(m)
    rows = []
    for name in sorted(by_name, key=_order):
        found = by_name[name]
        backs = [m.median for m in found]
        errors, delays = (_known(found, fact) for fact in ("first_error_s", "worst_delay_s"))
        rows.append(
            [
                name,
                str(len(found)),
                str(sum(_whole(m, "failed") for m in found)),
                duration(float(np.median(errors))) if errors else "",
                duration(max(delays)) if delays else "",
                duration(float(np.median(backs))),
                "never" if any(m.facts["started_from_outside"] for m in found) else duration(max(backs)),
            ]
        )
    header = ["fault", "times", "failed requests", "first error", "latest", "service back", "latest"]
    settings = result.settings
    more = [f"{settings['streams']} streams", f"{number(float(settings['minutes']))} min", f"seed {settings['seed']}"]
    return Table(header, rows, caption(result, more=more), above=_targets(result))


def _targets(result: Result) -> Table:
    counts = result.find(case=RUN, subject="requests", metric=COUNT)
    delays = result.find(case=RUN, subject="requests", metric=DELAY)
    memory = result.find(case=RUN, subject=ALL, metric=MEMORY)
    facts = counts.facts if counts else {}
    found = faults_of(result)
    worst_s = float(str(delays.facts["worst"])) if delays else 0.0
    back_s = max((m.median for m in found), default=0.0)
    growth = memory.facts.get("growth") if memory else None
    left = [f"{facts[f'{what}_left']} {words}" for what, words in (("processes", "processes"), ("regions", "regions"))]
    rows = [
        _target("answers unlike their solo answer", "0", facts["wrong"], f"{facts['wrong']} of {facts['finished']}"),
        _target("errors without words", "0", facts["unworded"], f"{facts['unworded']} of {facts['failed']}"),
        _target("errors that came later", _most(MAX_ERROR_S), worst_s > MAX_ERROR_S, f"latest {duration(worst_s)}"),
        _target("service back", _most(MAX_BACK_S), back_s > MAX_BACK_S, f"latest {duration(back_s)}"),
        _target("starts from outside", "0", facts["started_from_outside"], str(facts["started_from_outside"])),
        _target(
            "left at the end: processes, shared memory",
            "0",
            bool(facts["processes_left"]) or bool(facts["regions_left"]),
            ", ".join(left),
        ),
    ]
    if growth is not None:
        share = float(str(growth))
        wanted = f"at most +{100 * MAX_GROWTH:g} %"
        rows.append(_target("memory at the end", wanted, share > MAX_GROWTH, f"{100 * share:+.1f} %"))
    return Table(["target", "wanted", "measured", ""], rows, "")


def _target(what: str, wanted: str, missed: object, measured: str) -> list[str]:
    return [what, wanted, measured, "missed" if missed else "met"]


def _most(seconds: float) -> str:
    return f"at most {seconds:g} s"


def _order(name: str) -> tuple[int, str]:
    kind, _, target = name.partition(" ")
    return list(KINDS).index(kind), target  # type: ignore[arg-type]


def _known(found: Sequence[Measurement], fact: str) -> list[float]:
    return [float(str(m.facts[fact])) for m in found if m.facts[fact] is not None]


def _whole(m: Measurement, fact: str) -> int:
    return int(str(m.facts[fact]))


def plot(result: Result, figure: Any) -> None:
    """Above: each fault, how long the service was away, and how late its latest error came. Below: memory."""
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    found = faults_of(result)
    colours, width = colours_of(list(KINDS)), float(result.settings["every"]) / 60 / 3
    for kind in KINDS:
        if of_kind := [m for m in found if m.facts["kind"] == kind]:
            minutes = [m.times[0] / 60 for m in of_kind]
            above.bar(minutes, [m.median for m in of_kind], width, color=colours[kind], label=kind)
    late = [m for m in found if m.facts["worst_delay_s"] is not None]
    minutes, style = [m.times[0] / 60 for m in late], {"color": INK, "markersize": 9, "markeredgewidth": 2}
    above.plot(minutes, _known(late, "worst_delay_s"), "_", label="latest error", **style)
    for limit_s, what in ((MAX_BACK_S, "service back"), (MAX_ERROR_S, "errors")):
        above.axhline(limit_s, color=MUTED, linewidth=0.8, linestyle=":")
        above.text(
            1.0, limit_s, f" {what}", transform=above.get_yaxis_transform(), va="center", fontsize=7, color=MUTED
        )
    above.set_ylabel("seconds")
    tidy(above, f"Faults, and the time until the service was back: {server_of(result)}")
    legend(above, loc="upper left", ncols=5)
    above.margins(y=0.25)
    for subject, colour in ((ALL, INK), (SHARED, MUTED)):
        if memory := result.find(case=RUN, subject=subject, metric=MEMORY):
            below.plot(np.array(memory.times) / 60, memory.samples, color=colour, linewidth=1.2, label=subject)
    legend(below, loc="center left", bbox_to_anchor=(1.0, 0.5))
    below.set_ylim(bottom=0)
    below.set_ylabel("GB")
    below.set_xlabel("minutes")
    tidy(below, "Memory of the server")
