"""`compare`: two results of one command, measurement by measurement; what changed, and what is noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bark_serving.cli.console import console
from benchmarks import results
from benchmarks.errors import BenchmarkError
from benchmarks.results import Measurement, Result
from benchmarks.running import errors_shown
from benchmarks.statistics import RESAMPLED, Ratio, ratio
from benchmarks.tables import Table, number


@dataclass(frozen=True)
class Change:
    """One measurement in both results."""

    base: Measurement
    new: Measurement
    ratio: Ratio  #: new / base

    def worse_by(self) -> float:
        """How much worse the new one is, as a share: 0.1 is ten per cent; negative is better."""
        if self.base.better == "neither":
            return 0.0
        if self.base.better == "lower":
            return self.ratio.value - 1
        return 1 / self.ratio.value - 1 if self.ratio.value else float("inf")

    def is_regression(self, threshold: float) -> bool:
        """Worse by more than the threshold, where the noise is known, and not by noise alone."""
        return self.ratio.known and self.worse_by() > threshold and not self.ratio.is_noise

    def verdict(self, threshold: float) -> str:
        if not self.ratio.known:
            return "unknown noise"
        if self.ratio.is_noise or abs(self.worse_by()) <= threshold:
            return ""
        return "worse" if self.worse_by() > 0 else "better"


#: Settings that say how much was measured, or what came of it; every other changes what is measured.
_AMOUNTS = {"repeats", "requests", "minutes", "interval", "knee_concurrency"}
#: Of a machine: what differs from run to run.
_MEASURED: dict[str, object] = {"load": 0, "bandwidth_gb_s": None, "gpu_bandwidth_gb_s": None, "compute_gflop_s": None}
_ALIKE = 1.3  #: times as much arithmetic a second as in another run on the same machine, at most


@dataclass(frozen=True)
class Comparison:
    """All that two results share, and what only one of them has."""

    base: Result
    new: Result
    changes: Sequence[Change]
    only_base: Sequence[str]
    only_new: Sequence[str]

    def regressions(self, threshold: float) -> list[Change]:
        return [change for change in self.changes if change.is_regression(threshold)]

    def warnings(self) -> list[str]:
        """Why the figures may not be comparable."""
        found = []
        machines = [result.machine.model_copy(update=_MEASURED) for result in (self.base, self.new)]
        one, other = (result.machine.compute_gflop_s or 0 for result in (self.base, self.new))
        if machines[0] != machines[1]:
            found.append("They were measured on different machines.")
        elif one and other and max(one, other) > _ALIKE * min(one, other):
            found.append(f"One machine's name, but {one:g} and {other:g} GFLOP/s: different processors?")
        settings = self.base.settings, self.new.settings
        names = [name for name in dict.fromkeys([*settings[0], *settings[1]]) if name not in _AMOUNTS]
        differing = [name for name in names if settings[0].get(name) != settings[1].get(name)]
        if differing:
            found.append(f"They differ in {', '.join(differing)}.")
        for side, alone in (("base", self.only_base), ("new one", self.only_new)):
            if alone:
                listed = "; ".join(alone[:3]) + (" …" if len(alone) > 3 else "")
                found.append(f"Only the {side} has: {listed}.")
        return found


def compare(base: Result, new: Result) -> Comparison:
    """Match two results. Raises `BenchmarkError` when they are of different commands or share nothing."""
    if base.command != new.command:
        raise BenchmarkError(
            f"One result is of `{base.command}`, the other of `{new.command}`.",
            remedy="Compare results of one command.",
        )
    ours, theirs = ({m.key: m for m in result.measurements} for result in (base, new))
    shared = [key for key in ours if key in theirs]
    if not shared:
        raise BenchmarkError("The two results have no measurement in common.", remedy="Measure the same cases.")
    return Comparison(
        base=base,
        new=new,
        changes=[Change(ours[key], theirs[key], ratio(ours[key].samples, theirs[key].samples)) for key in shared],
        only_base=[_name(ours[key]) for key in ours if key not in theirs],
        only_new=[_name(theirs[key]) for key in theirs if key not in ours],
    )


def _name(measurement: Measurement) -> str:
    metric = "" if measurement.metric == "seconds" else f", {measurement.metric}"
    return f"{measurement.case}: {measurement.subject}{metric}"


def table(comparison: Comparison, *, threshold: float) -> Table:
    """Base, new, ratio, band, verdict; what got worse first."""
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
    noise = (
        f"a band that holds 1 is noise: 95 % by the bootstrap, with less than {RESAMPLED} samples on a side from the "
        "smallest to the largest ratio of any two"
    )
    caption = f"{comparison.base.command}: {commits}. Ratios are new / base; {noise}."
    return Table(["", "base", "new", "ratio", "band", ""], rows, " ".join([caption, *comparison.warnings()]))


def command(
    base: Annotated[Path, typer.Argument(metavar="BASE", help="Result of the code before.", show_default=False)],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Result of the code after.", show_default=False)],
    threshold: Annotated[
        float, typer.Option("--threshold", min=0, help="Worse by more than this share, and not by noise: exit with 1.")
    ] = 0.05,
    markdown: Annotated[bool, typer.Option("--markdown", help="For a pull request's description.")] = False,
) -> None:
    """Two results of one command as a table of ratios with their noise.

    Exits with 1 when something got worse by more than the threshold and the noise band does not hold 1. A single sample
    on a side tells nothing about noise, and never ends with 1.

    Example: `python -m benchmarks compare benchmarks/results/stages-small.json build/benchmarks/new.json --markdown`
    """
    with errors_shown():
        compared = compare(results.load(base), results.load(new))
    shown = table(compared, threshold=threshold)
    if markdown:
        print(shown.markdown())
    else:
        Console().print(shown.rich())
    worse = compared.regressions(threshold)
    if worse:
        console.print(f"[red]{len(worse)} measurements are worse by more than {threshold:.0%}.[/red]")
        raise typer.Exit(1)
