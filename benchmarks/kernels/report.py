"""Table and roofline of `kernels`."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.kernels.measure import ARITHMETIC, BANDWIDTH, KERNELS, LIMITS, ONNX, PROCESSOR
from benchmarks.plots import colours_of, tidy
from benchmarks.results import Measurement, Result
from benchmarks.tables import Table, caption, duration, times


def table(result: Result) -> Table:
    """One row per operation: processor time of both, the ratio, and the share of the roofline."""
    rows = []
    for case in result.cases(PROCESSOR):
        ours, other = (result.find(case=case, subject=name, metric=PROCESSOR) for name in (KERNELS, ONNX))
        walls = [result.find(case=case, subject=name) for name in (KERNELS, ONNX)]
        if ours and other and walls[0] and walls[1]:
            share = _rate(ours) / roof(result, _intensity(ours))
            wall = times(walls[1].median / walls[0].median)
            ratio = times(other.median / ours.median)
            rows.append([case, duration(other.median), duration(ours.median), ratio, wall, f"{100 * share:.0f} %"])
    more = [
        "processor time; the ratio of wall time beside it",
        f"a core reads {_limit(result, BANDWIDTH) / 1e9:.1f} GB/s",
        f"it does {_limit(result, ARITHMETIC) / 1e9:.0f} GOP/s",
    ]
    columns = ["", ONNX, KERNELS, "ratio", "in wall time", "of the roofline"]
    return Table(columns, rows, caption(result, more=more))


def plot(result: Result, figure: Any) -> None:
    """Operations per second and core by operations per byte, below what memory and arithmetic allow."""
    axes = figure.add_subplot()
    colours = colours_of([KERNELS, ONNX])
    found = [m for m in result.measurements if m.metric == PROCESSOR]
    x = np.geomspace(1, 2 * max(map(_intensity, found)), 100)
    axes.plot(x, [roof(result, one) / 1e9 for one in x], color="black", linewidth=1, label="what a core allows")
    for name, marker in ((KERNELS, "o"), (ONNX, "x")):
        own = [m for m in found if m.subject == name]
        axes.scatter(
            [_intensity(m) for m in own], [_rate(m) / 1e9 for m in own], color=colours[name], marker=marker, label=name
        )
    for m in found:
        if m.subject == KERNELS:
            axes.annotate(
                m.case, (_intensity(m), _rate(m) / 1e9), fontsize=7, xytext=(4, 4), textcoords="offset points"
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("operations per byte of weights and cache")
    axes.set_ylabel("GOP/s per core")
    tidy(axes, f"Roofline of a core: {result.settings.get('bundle', '')}", grid="both")
    axes.legend(frameon=False)


def roof(result: Result, intensity: float) -> float:
    """Operations per second that a core can do at so many operations per byte."""
    return min(_limit(result, BANDWIDTH) * intensity, _limit(result, ARITHMETIC))


def _limit(result: Result, subject: str) -> float:
    found = result.find(case=LIMITS, subject=subject, metric="rate")
    assert found is not None
    return found.median


def _intensity(m: Measurement) -> float:
    return float(str(m.facts["operations"])) / float(str(m.facts["bytes"]))


def _rate(m: Measurement) -> float:
    return float(str(m.facts["operations"])) / m.median
