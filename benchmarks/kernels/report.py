"""Table and roofline of `kernels`."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.kernels.measure import ARITHMETIC, BANDWIDTH, KERNELS, LIMITS, ONNX
from benchmarks.plots import colours_of, tidy
from benchmarks.results import Measurement, Result
from benchmarks.tables import Table, caption, duration, times


def table(result: Result) -> Table:
    """One row per operation: the time of both, the ratio, and the share of the roofline."""
    rows = []
    for case in result.cases("seconds"):
        ours, other = (result.find(case=case, subject=name) for name in (KERNELS, ONNX))
        if ours and other:
            share = _rate(ours) / roof(result, _intensity(ours))
            ratio = times(other.median / ours.median)
            rows.append([case, duration(other.median), duration(ours.median), ratio, f"{100 * share:.0f} %"])
    more = [
        f"the threads read {_limit(result, BANDWIDTH) / 1e9:.1f} GB/s",
        f"they do {_limit(result, ARITHMETIC) / 1e9:.0f} GOP/s",
    ]
    return Table(["", ONNX, KERNELS, "ratio", "of the roofline"], rows, caption(result, more=more))


def plot(result: Result, figure: Any) -> None:
    """Operations per second by operations per byte, below what memory and arithmetic allow."""
    axes = figure.add_subplot()
    colours = colours_of([KERNELS, ONNX])
    found = [m for m in result.measurements if m.metric == "seconds"]
    x = np.geomspace(1, 2 * max(map(_intensity, found)), 100)
    axes.plot(x, [roof(result, one) / 1e9 for one in x], color="black", linewidth=1, label="what the machine allows")
    for name, marker in ((KERNELS, "o"), (ONNX, "x")):
        own = [m for m in found if m.subject == name]
        axes.scatter(
            [_intensity(m) for m in own], [_rate(m) / 1e9 for m in own], color=colours[name], marker=marker, label=name
        )
    before = (0.0, 0.0)
    for m in found:
        if m.subject == KERNELS:
            place = (_intensity(m), _rate(m) / 1e9)
            beside = all(abs(one - other) < 0.05 * one for one, other in zip(place, before, strict=True))
            shift = -9 if beside else 4  # its name goes below that of its neighbour
            axes.annotate(m.case, place, fontsize=7, xytext=(4, shift), textcoords="offset points")
            before = place
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("operations per byte of weights and cache")
    axes.set_ylabel("GOP/s")
    tidy(axes, f"Roofline: {result.settings.get('bundle', '')}", grid="both")
    axes.legend(frameon=False)


def roof(result: Result, intensity: float) -> float:
    """Operations per second that the machine allows at so many operations per byte."""
    return min(_limit(result, BANDWIDTH) * intensity, _limit(result, ARITHMETIC))


def _limit(result: Result, subject: str) -> float:
    found = result.find(case=LIMITS, subject=subject, metric="rate")
    assert found is not None
    return found.median


def _intensity(m: Measurement) -> float:
    return float(str(m.facts["operations"])) / float(str(m.facts["bytes"]))


def _rate(m: Measurement) -> float:
    return float(str(m.facts["operations"])) / m.median
