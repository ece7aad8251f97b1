"""Table and picture of `quality`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.plots import bar_groups, colours_of, legend_above, tidy
from benchmarks.results import Measurement, Result
from benchmarks.tables import Table, caption


def table(result: Result) -> Table:
    metrics = [
        ("semantic", "agreement"), ("semantic", "drift"), ("coarse", "agreement"), ("coarse", "drift"),
        ("fine", "agreement"), ("fine", "drift"), ("audio", "mel distance"),
        ("audio, same coarse tokens", "mel distance"),
    ]  # fmt: skip
    rows = []
    for subject in dict.fromkeys(m.subject for m in result.measurements):
        cells = []
        for case, metric in metrics:
            found = result.find(case=case, subject=subject, metric=metric)
            if found is None:
                cells.append("")
            elif metric == "agreement":
                cells.append(f"{100 * found.median:.1f} %")
            else:
                cells.append(f"{found.median:.3g} {found.unit}")
        rows.append([subject, *cells])
    header = ["variant", *(f"{case}: {metric}" for case, metric in metrics)]
    return Table(header, rows, caption(result))


def plot(result: Result, figure: Any) -> None:
    """Three panels: disagreement, drift and mel distance. One group of bars per stage, one bar per variant."""
    panels = figure.subplots(1, 3, width_ratios=(3, 3, 2))
    contents: tuple[tuple[str, str, Callable[[Measurement], float]], ...] = (
        ("agreement", "steps with another likeliest token, %", lambda m: 100 * (1 - m.median)),
        ("drift", "drift of the log-likelihood, nats", lambda m: m.median),
        ("mel distance", "mel distance of the audio, dB", lambda m: m.median),
    )
    subjects = list(dict.fromkeys(m.subject for m in result.measurements))
    colours = colours_of(subjects)
    for axes, (metric, title, value) in zip(panels, contents, strict=True):
        bar_groups(axes, result, colours, metric, value)
        tidy(axes, title)
    legend_above(figure, panels[0])
