"""The benchmarks by name. A new one is a module or folder with `command`, `table` and `plot`, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from benchmarks import drag_race, listen, quality, serve, soak, stages
from benchmarks.results import Result
from benchmarks.serve import growth
from benchmarks.tables import Table


class Report(Protocol):
    """Shows results of one kind."""

    def table(self, result: Result, /) -> Table:
        """Its table, for terminal and Markdown."""

    def plot(self, result: Result, figure: Any, /) -> None:
        """Draw its picture on a matplotlib figure."""


class Benchmark(Report, Protocol):
    """Measures and shows."""

    @property
    def command(self) -> Callable[..., None]:
        """The command on the command line."""


BENCHMARKS: Mapping[str, Benchmark] = {
    "stages": stages,
    "drag-race": drag_race,
    "serve": serve,
    "soak": soak,
    "quality": quality,
    "listen": listen,
}
#: By `Result.command`.
REPORTS: Mapping[str, Report] = {**BENCHMARKS, "growth": growth}
