"""The README's tables, generated from results between markers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.results import Result
from benchmarks.tables import table_of

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
        return f"{match[1]}\n{table_of(results[name]).markdown()}\n\n{match['end']}"

    return _MARKED.sub(replaced, text)


def rewrite(path: Path, results: Mapping[str, Result]) -> bool:
    """Regenerate a file's tables in place; whether that changed it."""
    before = path.read_text(encoding="utf-8")
    after = regenerate(before, results)
    if after != before:
        path.write_text(after, encoding="utf-8")
    return after != before
