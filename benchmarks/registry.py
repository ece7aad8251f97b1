"""The benchmarks by name. A new benchmark is a module with `command`, `table` and `plot`, and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from benchmarks import chaos, drag_race, guard, kernels, latency, listen, quality, serve, soak, stages
from benchmarks.results import Result
from benchmarks.serve import growth, through
from benchmarks.tables import Table


class Report(Protocol):
    """Shows the results of one command: as a table, and as a picture on a matplotlib figure."""

    def table(self, result: Result, /) -> Table: ...
    def plot(self, result: Result, figure: Any, /) -> None: ...


class Benchmark(Report, Protocol):
    """A report whose measuring is a command of its own."""

    @property
    def command(self) -> Callable[..., None]: ...


BENCHMARKS: Mapping[str, Benchmark] = {
    "stages": stages,
    "drag-race": drag_race,
    "serve": serve,
    "soak": soak,
    "chaos": chaos,
    "latency": latency,
    "quality": quality,
    "listen": listen,
    "guard": guard,
    "kernels": kernels,
}
#: By `Result.command`.
REPORTS: Mapping[str, Report] = {**BENCHMARKS, "growth": growth, "serve-through-gateway": through}
