"""`tables`: writes the results' tables into the documents, between markers, and draws the results' pictures."""

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

_MARKED_FILES = [
    *(Path(f"docs/{name}.md") for name in ("benchmarks", "gateway", "kernels")),
    Path("bark_serving/miniature/README.md"),
]

_MARKED = re.compile(r"(<!-- benchmarks: (?P<name>[\w.-]+) -->\n)(?P<old>.*?)(?P<end><!-- /benchmarks -->)", re.DOTALL)


def regenerate(text: str, results: Mapping[str, Result]) -> str:
    """`text` with a new table between each ``<!-- benchmarks: NAME -->`` and ``<!-- /benchmarks -->``.

    Raises `BenchmarkError` for a marker that is not closed or has no result.
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
                f"The marker {name} has no result.", remedy=f"Measure it, or name one of these results: {known}."
            )
        result = results[name]
        return f"{match[1]}\n{REPORTS[result.command].table(result).markdown()}\n\n{match['end']}"

    return _MARKED.sub(replaced, text)


def rewrite(path: Path, results: Mapping[str, Result], *, check: bool = False) -> bool:
    """Regenerate the tables of a file, unless ``check``. Returns whether the file was out of date."""
    before = path.read_text(encoding="utf-8")
    after = regenerate(before, results)
    if after != before and not check:
        path.write_text(after, encoding="utf-8")
    return after != before


def _draw_all(folder: Path) -> None:
    """Draw every PNG beside a result. If the result's command no longer exists, its PNG stays as it is."""
    require("matplotlib")
    for path in sorted(folder.glob("*.json")):
        if path.with_suffix(".png").exists() and (result := results.load(path)).command in REPORTS:
            plots.draw(result, path.with_suffix(".png"), REPORTS[result.command].plot)


def command(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Default: docs/benchmarks.md and the miniature's model card.")
    ] = None,
    folder: Annotated[Path, typer.Option("--results", help="Folder of the results.")] = results.KEPT_FOLDER,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 if a table is out of date.")
    ] = False,
) -> None:
    """Write the results' tables into the documents, and draw the results' pictures again.

    A table is written between `<!-- benchmarks: NAME -->` and `<!-- /benchmarks -->`. NAME is a file of the results'
    folder, without `.json`. Every PNG of that folder is drawn from the JSON beside it. `--check` draws none.

    Example: `python -m benchmarks tables`, or in CI `python -m benchmarks tables --check`
    """
    with errors_shown():
        marked = files or _MARKED_FILES
        names = {match["name"] for path in marked for match in _MARKED.finditer(path.read_text(encoding="utf-8"))}
        known = {name: results.load(path) for name in sorted(names) if (path := folder / f"{name}.json").exists()}
        if not check:
            _draw_all(folder)
        stale = [path for path in marked if rewrite(path, known, check=check)]
        for path in marked:
            verdict = "up to date" if path not in stale else "out of date" if check else "changed"
            console.print(f"{escape(str(path))}: {verdict}")
    if check and stale:
        raise typer.Exit(1)
