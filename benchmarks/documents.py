"""`tables`: the tables of the documents, generated from results between markers, and the pictures of the results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from bark_serving.cli.console import console
from benchmarks import plots, results
from benchmarks.errors import BenchmarkError
from benchmarks.registry import REPORTS
from benchmarks.results import Result
from benchmarks.running import errors_shown, require

_MARKED_FILES = [Path("docs/benchmarks.md"), Path("bark_serving/miniature/README.md")]

_MARKED = re.compile(r"(<!-- benchmarks: (?P<name>[\w.-]+) -->\n)(?P<old>.*?)(?P<end><!-- /benchmarks -->)", re.DOTALL)


def names(text: str) -> set[str]:
    """Results that a text's markers name."""
    return {match["name"] for match in _MARKED.finditer(text)}


def regenerate(text: str, results: Mapping[str, Result]) -> str:
    """`text` with what stands between ``<!-- benchmarks: NAME -->`` and ``<!-- /benchmarks -->`` made anew.

    Raises `BenchmarkError` for a marker whose result is missing, or that is not closed.
    """
    if text.count("<!-- benchmarks: ") != len(_MARKED.findall(text)):
        raise BenchmarkError(
            "A marker <!-- benchmarks: … --> is malformed or not closed.", remedy="Close it with <!-- /benchmarks -->."
        )

    def replaced(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in results:
            known = ", ".join(sorted(results)) or "none"
            raise BenchmarkError(
                f"The marker {name} has no result.", remedy=f"Measure it, or name one of those there are: {known}."
            )
        result = results[name]
        return f"{match[1]}\n{REPORTS[result.command].table(result).markdown()}\n\n{match['end']}"

    return _MARKED.sub(replaced, text)


def rewrite(path: Path, results: Mapping[str, Result]) -> bool:
    """Regenerate a file's tables in place; whether that changed it."""
    before = path.read_text(encoding="utf-8")
    after = regenerate(before, results)
    if after != before:
        path.write_text(after, encoding="utf-8")
    return after != before


def _draw_all(folder: Path) -> None:
    """Draw every PNG that lies beside a result. One of a kind that is no longer measured stays as it is."""
    require("matplotlib")
    for path in sorted(folder.glob("*.json")):
        if path.with_suffix(".png").exists() and (result := results.load(path)).command in REPORTS:
            plots.draw(result, path.with_suffix(".png"), REPORTS[result.command].plot)


def command(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Default: docs/benchmarks.md and the miniature's card.")
    ] = None,
    folder: Annotated[Path, typer.Option("--results", help="Where the results are.")] = results.KEPT_FOLDER,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 if a table is out of date.")
    ] = False,
) -> None:
    """Write the tables of the documents from the results, and draw the pictures of the results anew.

    A table stands between `<!-- benchmarks: NAME -->` and `<!-- /benchmarks -->`, NAME being a file of the results'
    folder without `.json`. Every PNG of that folder is drawn from the JSON beside it; `--check` leaves them alone.

    Example: `python -m benchmarks tables`, or in CI `python -m benchmarks tables --check`
    """
    with errors_shown():
        marked = files or _MARKED_FILES
        named = {name for path in marked for name in names(path.read_text(encoding="utf-8"))}
        known = {name: results.load(path) for name in sorted(named) if (path := folder / f"{name}.json").exists()}
        if not check:
            _draw_all(folder)
        stale = []
        for path in marked:
            if check:
                text = path.read_text(encoding="utf-8")
                changed = regenerate(text, known) != text
            else:
                changed = rewrite(path, known)
            console.print(
                f"{escape(str(path))}: {'out of date' if check and changed else 'changed' if changed else 'up to date'}"
            )
            stale += [path] * changed
    if check and stale:
        raise typer.Exit(1)
