"""Table and picture of `drag-race`."""

from __future__ import annotations

from typing import Any

from benchmarks.plots import INK, colours_of, tidy
from benchmarks.results import Measurement, Result
from benchmarks.tables import Table, against, caption, duration, millions, number, slow_torch, times

_ROOFLINE = "; the dark line is the most that memory bandwidth allows"


def table(result: Result) -> Table:
    rows = []
    base = result.measurements[0]
    for found in result.measurements:
        best, tokens = found.facts.get("roofline_seconds"), float(str(found.facts["tokens"]))
        rows.append(
            [
                found.subject,
                millions(found.facts.get("parameters")),
                duration(found.median),
                number(1000 * found.median / tokens),
                number(tokens / found.median),
                times(_per_token(base) / _per_token(found)),
                f"{float(best) / found.median:.0%}" if best else "",
            ]
        )
    tokens = result.settings["tokens"]
    header = [
        "runtime",
        "parameters",
        f"{tokens} tokens",
        "ms per token",
        "tokens per second",
        f"ratio to {base.subject}",
        "share of the roofline",
    ]
    return Table(header, rows, caption(result, more=[against(base.subject, result)]))


def _per_token(measured: Measurement) -> float:
    """Seconds per token. With a batch of B, the tokens of all B rows count."""
    return measured.median / float(str(measured.facts["tokens"]))


def plot(result: Result, figure: Any) -> None:
    """One bar per runtime: tokens per second. A dark line marks the roofline."""
    axes = figure.add_subplot()
    found, labels = list(result.measurements), []
    colours = colours_of([m.subject for m in found])
    for at, m in enumerate(found):
        tokens = float(str(m.facts["tokens"]))
        axes.barh(at, tokens / m.median, height=0.7, color=colours[m.subject])
        if len(m.samples) > 1:
            ends = [[tokens / m.median - tokens / m.high], [tokens / m.low - tokens / m.median]]
            axes.errorbar(tokens / m.median, at, xerr=ends, color=INK, linewidth=0.8, capsize=0)
        best = m.facts.get("roofline_seconds")
        if best:
            axes.plot([tokens / float(best)] * 2, [at - 0.35, at + 0.35], color=INK, linewidth=1.4)
        speed = f"{number(tokens / m.median)} tokens/s · {number(1000 * m.median / tokens)} ms per token"
        labels.append(f"{m.subject}\n{speed}")
    axes.set_yticks(range(len(found)), labels)
    axes.invert_yaxis()
    best = _ROOFLINE if any(m.facts.get("roofline_seconds") for m in found) else ""
    axes.set_xlabel("\n".join([f"tokens per second{best}", *slow_torch(result)]))
    tidy(axes, f"Drag race: {result.settings['tokens']} tokens from {result.settings['model']}", grid="x")
    axes.tick_params(axis="y", labelsize=8.5, colors=INK)
