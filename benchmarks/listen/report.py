"""Table and picture of `listen`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.listen.measure import ALL, ENDED, ENTROPY, ERRORS, PITCH, QUALITY
from benchmarks.plots import bar_groups, colours_of, legend_above, tidy
from benchmarks.results import SPEED, Result
from benchmarks.tables import Table, caption, number


def table(result: Result) -> Table:
    """One row per speaker: a recording or a variant. Word errors and pitch have a column per voice."""
    columns: list[tuple[str, str, str, Callable[[float], str]]]
    columns = [(f"word errors: {case}", case, ERRORS, _percent) for case in result.cases(ERRORS)]
    columns += [(f"{ENTROPY}, nats", ALL, ENTROPY, _nats)] if result.cases(ENTROPY) else []
    columns += [(QUALITY, case, QUALITY, number) for case in result.cases(QUALITY)]
    columns += [(f"pitch: {case}", case, PITCH, _hertz) for case in result.cases(PITCH)]
    columns += [("end by themselves", ALL, ENDED, _percent), ("audio s/s", ALL, SPEED, number)]
    rows = []
    for subject in dict.fromkeys(m.subject for m in result.measurements):
        found = [result.find(case=case, subject=subject, metric=metric) for _, case, metric, _ in columns]
        cells = [shown(m.median) if m else "" for m, (_, _, _, shown) in zip(found, columns, strict=True)]
        rows.append([subject, *cells])
    settings = result.settings
    more = [f"{settings['sentences']} sentences per voice", f"{settings['endings']} more to see whether they end"]
    return Table(["", *(name for name, *_ in columns)], rows, caption(result, more=more))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _nats(value: float) -> str:
    return f"{value:.3f}"


def _hertz(value: float) -> str:
    return f"{value:.0f} Hz"


def plot(result: Result, figure: Any) -> None:
    """Word errors: one group of bars per voice, one bar per recording or variant. Recordings come first."""
    axes = figure.add_subplot()
    colours = colours_of(result.subjects("word errors"))
    bar_groups(axes, result, colours, "word errors", lambda m: 100 * m.median)
    tidy(axes, f"Word errors of a speech recogniser, %: {result.settings.get('bundle', '')}")
    legend_above(figure, axes)
