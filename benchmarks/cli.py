"""``python -m benchmarks``: registers the commands."""

from __future__ import annotations

import typer

from benchmarks.commands import compare, drag_race, growth, listen, profile, quality, serve, soak, stages

app = typer.Typer(
    name="benchmarks",
    help="Measure Bark on this machine, and keep the figures: each command writes a JSON file with machine, versions, "
    "commit and every sample, and draws a PNG beside it.\n\n"
    "Try anything in a minute with `--size tiny`, which is also the default. Close other programs before measuring for "
    "real: a result says so when the machine was busy.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


@app.callback()
def _commands() -> None:
    """Keeps the commands' names on the command line, however few there are."""


app.command("stages")(stages.command)
app.command("drag-race")(drag_race.command)
app.command("serve")(serve.command)
app.command("soak")(soak.command)
app.command("growth")(growth.command)
app.command("quality")(quality.command)
app.command("listen")(listen.command)
app.command("profile")(profile.command)
app.command("compare")(compare.compare)
app.command("tables")(compare.generate)
