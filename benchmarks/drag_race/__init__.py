"""`drag-race`: command, table and picture."""

from benchmarks.drag_race.command import command
from benchmarks.drag_race.report import plot, table

__all__ = ["command", "plot", "table"]
