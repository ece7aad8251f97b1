"""What every measuring command ends with: JSON written, picture drawn, table shown."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from benchmarks import plots, results
from benchmarks.console import console
from benchmarks.results import Result
from benchmarks.tables import table_of


def finish(result: Result, output: Path) -> None:
    """Save, draw, show."""
    results.save(result, output)
    Console().print(table_of(result).rich())
    picture = plots.draw(result, output.with_suffix(".png"))
    written = f"{output}" + (f" and {picture.name}" if picture else "")
    console.print(f"\n[green]Written:[/green] {escape(written)}", soft_wrap=True)
