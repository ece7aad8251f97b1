"""``compare`` and ``tables``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from benchmarks import comparison, plots, readme, results
from benchmarks.console import console, errors_shown

_MARKED_FILES = [Path("docs/benchmarks.md"), Path("bark_serving/miniature/README.md")]


def compare(
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
        compared = comparison.compare(results.load(base), results.load(new))
    table = comparison.table(compared, threshold=threshold)
    if markdown:
        print(table.markdown())
    else:
        Console().print(table.rich())
    worse = compared.regressions(threshold)
    if worse:
        console.print(f"[red]{len(worse)} measurements are worse by more than {threshold:.0%}.[/red]")
        raise typer.Exit(1)


def generate(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files with markers. Default: benchmarks.md and the miniature's card.")
    ] = None,
    folder: Annotated[Path, typer.Option("--results", help="Where the results are.")] = results.KEPT_FOLDER,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 if a table is out of date.")
    ] = False,
) -> None:
    """Write the README's tables from the results, and draw their pictures anew.

    A table stands between `<!-- benchmarks: NAME -->` and `<!-- /benchmarks -->`, NAME being a file of the results'
    folder without `.json`. Every PNG of that folder is drawn from the JSON beside it; `--check` leaves them alone.

    Example: `python -m benchmarks tables`, or in CI `python -m benchmarks tables --check`
    """
    with errors_shown():
        marked = files or _MARKED_FILES
        named = {name for path in marked for name in readme.names(path.read_text(encoding="utf-8"))}
        drawn = [path for path in sorted(folder.glob("*.json")) if path.with_suffix(".png").exists() and not check]
        known = {name: results.load(path) for name in sorted(named) if (path := folder / f"{name}.json").exists()}
        for path in drawn:
            plots.draw(results.load(path), path.with_suffix(".png"))
        stale = []
        for path in marked:
            if check:
                text = path.read_text(encoding="utf-8")
                changed = readme.regenerate(text, known) != text
            else:
                changed = readme.rewrite(path, known)
            console.print(
                f"{escape(str(path))}: {'out of date' if check and changed else 'changed' if changed else 'up to date'}"
            )
            stale += [path] * changed
    if check and stale:
        raise typer.Exit(1)
