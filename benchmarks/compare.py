"""`compare`: two results of the same command, measurement by measurement: what changed, and what is noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from bark_serving.cli.console import Lines, console
from benchmarks import results
from benchmarks.errors import BenchmarkError
from benchmarks.results import Measurement, Result
from benchmarks.running import errors_shown
from benchmarks.statistics import MIN_BOOTSTRAP_SAMPLES, Ratio, ratio
from benchmarks.tables import Table, number


@dataclass(frozen=True)
class Change:
    """One measurement in both results."""

    base: Measurement
    new: Measurement
    ratio: Ratio  #: new / base

    def worse_by(self) -> float:
        """How much worse the new result is, as a share: 0.1 is 10 % worse; a negative number is better."""
        if self.base.better == "neither":
            return 0.0
        if self.base.better == "lower":
            return self.ratio.value - 1
        return 1 / self.ratio.value - 1 if self.ratio.value else float("inf")

    def is_regression(self, threshold: float) -> bool:
        """Whether the new result is worse by more than the threshold, and noise cannot explain it."""
        return self.ratio.known and self.worse_by() > threshold and not self.ratio.is_noise

    def verdict(self, threshold: float) -> str:
        if not self.ratio.known:
            return "unknown noise"
        if self.ratio.is_noise or abs(self.worse_by()) <= threshold:
            return ""
        return "worse" if self.worse_by() > 0 else "better"


#: Settings that may differ: how much was measured, and its outcome. All others change what is measured.
_AMOUNTS = {"repeats", "requests", "minutes", "interval", "knee_concurrency"}
#: Fields of `Machine` that differ from run to run on the same machine, and the values that replace them.
_MEASURED: dict[str, object] = {"load": 0, "bandwidth_gb_s": None, "gpu_bandwidth_gb_s": None, "compute_gflop_s": None}
_MAX_SPEED_RATIO = 1.3  #: of the GFLOP/s in two runs on the same machine


@dataclass(frozen=True)
class Comparison:
    """The measurements that two results share, and those that only one of them has."""

    base: Result
    new: Result
    changes: Sequence[Change]
    only_base: Sequence[str]
    only_new: Sequence[str]

    def regressions(self, threshold: float) -> list[Change]:
        return [change for change in self.changes if change.is_regression(threshold)]

    def warnings(self) -> list[str]:
        """Why the figures may not be comparable."""
        warnings = []
        machines = [result.machine.model_copy(update=_MEASURED) for result in (self.base, self.new)]
        base_speed, new_speed = (result.machine.compute_gflop_s or 0 for result in (self.base, self.new))
        if machines[0] != machines[1]:
            warnings.append("They were measured on different machines.")
        elif max(base_speed, new_speed) > _MAX_SPEED_RATIO * min(base_speed, new_speed) > 0:
            warnings.append(
                f"The machines have the same name but reach {base_speed:g} and {new_speed:g} GFLOP/s. "
                "Are the processors different?"
            )
        settings = self.base.settings, self.new.settings
        names = [name for name in dict.fromkeys([*settings[0], *settings[1]]) if name not in _AMOUNTS]
        differing = [name for name in names if settings[0].get(name) != settings[1].get(name)]
        if differing:
            warnings.append(f"Their settings differ: {', '.join(differing)}.")
        for side, extra in (("base", self.only_base), ("new result", self.only_new)):
            if extra:
                listed = "; ".join(extra[:3]) + (" …" if len(extra) > 3 else "")
                warnings.append(f"Only the {side} has: {listed}.")
        return warnings


def compare(base: Result, new: Result) -> Comparison:
    """Match two results. Raises `BenchmarkError` if their commands differ or they share no measurement."""
    if base.command != new.command:
        raise BenchmarkError(
            f"One result is of `{base.command}`, the other of `{new.command}`.",
            remedy="Compare two results of the same command.",
        )
    old, current = ({m.key: m for m in result.measurements} for result in (base, new))
    shared = [key for key in old if key in current]
    if not shared:
        raise BenchmarkError("The two results have no measurement in common.", remedy="Measure the same cases.")
    return Comparison(
        base=base,
        new=new,
        changes=[Change(old[key], current[key], ratio(old[key].samples, current[key].samples)) for key in shared],
        only_base=[_name(old[key]) for key in old if key not in current],
        only_new=[_name(current[key]) for key in current if key not in old],
    )


def _name(measurement: Measurement) -> str:
    metric = "" if measurement.metric == "seconds" else f", {measurement.metric}"
    return f"{measurement.case}: {measurement.subject}{metric}"


def table(comparison: Comparison, *, threshold: float) -> Table:
    """One row per measurement: base, new, ratio, noise band, verdict. Regressions come first, the worst at the top."""
    rows = []
    for change in sorted(comparison.changes, key=lambda one: -one.worse_by() * one.is_regression(threshold)):
        band = f"{change.ratio.low:.3f}–{change.ratio.high:.3f}" if change.ratio.known else "?"
        rows.append(
            [
                _name(change.base),
                f"{number(change.base.median)} {change.base.unit}",
                f"{number(change.new.median)} {change.new.unit}",
                f"{change.ratio.value:.3f}",
                band,
                change.verdict(threshold),
            ]
        )
    commits = f"{comparison.base.commit[:9]} → {comparison.new.commit[:9]}"
    caption = (
        f"{comparison.base.command}: {commits}. Ratios are new / base. If the band contains 1, the difference may be "
        f"noise. The band is the bootstrap's 95 % interval; if a side has fewer than {MIN_BOOTSTRAP_SAMPLES} samples, "
        "it is the range of the ratios of single samples."
    )
    header = ["measurement", "base", "new", "ratio", "band", "verdict"]
    return Table(header, rows, " ".join([caption, *comparison.warnings()]))


def command(
    base: Annotated[Path, typer.Argument(metavar="BASE", help="Result of the old code.", show_default=False)],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Result of the new code.", show_default=False)],
    threshold: Annotated[
        float, typer.Option("--threshold", min=0, help="Exit with 1 if a figure got worse by more than this share.")
    ] = 0.05,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, as for a pull request.")] = False,
) -> None:
    """Compare two results of the same command: a table of ratios with their noise.

    Exits with 1 if a figure got worse by more than the threshold and its noise band does not contain 1. A figure with
    a single sample on either side never counts, because its noise is unknown.

    Example: `python -m benchmarks compare benchmarks/results/stages-small.json build/benchmarks/new.json --markdown`
    """
    with errors_shown():
        compared = compare(results.load(base), results.load(new))
    shown = table(compared, threshold=threshold)
    if markdown:
        print(shown.markdown())
    else:
        Lines().print(shown.rich())
    worse = compared.regressions(threshold)
    if worse:
        console.print(f"[red]{len(worse)} measurements are worse by more than {threshold:.0%}.[/red]")
        raise typer.Exit(1)
