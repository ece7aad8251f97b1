"""Table and picture of `guard`."""

from __future__ import annotations

from typing import Any

from bark_serving.speech.guard import VERDICTS
from benchmarks.guard.measure import FAILED, GOOD, MEASURES, SPOILED, roc
from benchmarks.results import Result
from benchmarks.tables import Table, caption


def table(result: Result) -> Table:
    """One row per condition: its takes, the share that failed, and why."""
    found = [m for m in result.measurements if m.metric == FAILED]
    seen = [verdict for verdict in VERDICTS[1:] if any(verdict in m.facts for m in found)]
    rows = []
    for m in found:
        shares = (float(str(m.facts.get(verdict, 0))) for verdict in seen)
        rows.append([m.case, str(m.facts["takes"]), _percent(m.median), *map(_percent, shares)])
    return Table(["", "takes", "spoken again", *seen], rows, caption(result))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share else "0"


def plot(result: Result, figure: Any) -> None:
    """One curve per measure: the share of spoiled takes found, by the share of good takes that are spoken again."""
    for place, condition in enumerate(SPOILED, 1):
        axes = figure.add_subplot(1, len(SPOILED), place)
        for name, measure in MEASURES.items():
            good, spoiled = (result.find(case=case, subject=name, metric="value") for case in (GOOD, condition))
            if good and spoiled:
                axes.plot(
                    *roc([measure.badness(x) for x in good.samples], [measure.badness(x) for x in spoiled.samples]),
                    label=name,
                )
        axes.set_title(condition, fontsize=9)
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("share of good takes that fail")
        if place == 1:
            axes.set_ylabel("share of spoiled takes that fail")
            axes.legend(frameon=False, fontsize=8)
    figure.suptitle(f"What finds spoiled takes: {result.settings.get('bundle', '')}")
