"""Runs the real commands: they measure, write files and make tables."""

from __future__ import annotations

import math
from pathlib import Path

from typer.testing import CliRunner

from bark_serving.bundle import Bundle
from benchmarks import documents, results
from benchmarks.cli import app
from benchmarks.registry import REPORTS
from benchmarks.results import Result
from benchmarks.tables import Table

#: Engines are kept after the session; their key contains everything that they depend on.
ENGINES = Path(__file__).parents[2] / "build/test-engines"
SCALE = "0.02"


def table_of(result: Result) -> Table:
    return REPORTS[result.command].table(result)


def run(output: Path, *arguments: str) -> Result:
    answer = CliRunner().invoke(app, [*arguments, "--output", str(output)])
    assert answer.exit_code == 0, answer.output + str(answer.exception)
    result = results.load(output)
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert all(math.isfinite(value) for m in result.measurements for value in m.samples)
    assert table_of(result).markdown() in documents.regenerate(
        "<!-- benchmarks: x -->\n<!-- /benchmarks -->", {"x": result}
    )
    return result


def common(bundle: Bundle) -> list[str]:
    return ["--bundle", str(bundle.folder), "--engines", str(ENGINES), "--threads", "1"]
