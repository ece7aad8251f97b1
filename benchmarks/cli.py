"""``python -m benchmarks``: registers the commands."""

from __future__ import annotations

import typer

from bark_serving.cli.console import Commands
from benchmarks import compare, documents
from benchmarks.registry import BENCHMARKS

app = typer.Typer(
    name="benchmarks",
    cls=Commands,
    help="Measure Bark on this machine. Each command writes a JSON file with the machine, versions, commit and every "
    "sample, and draws a PNG beside it.\n\n"
    "With `--size tiny`, the default, a try takes about a minute. Close other programs before you measure for real: a "
    "result says if the machine was busy.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
for _name, _benchmark in BENCHMARKS.items():
    app.command(_name)(_benchmark.command)
app.command("compare")(compare.command)
app.command("tables")(documents.command)
