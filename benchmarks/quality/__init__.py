"""`quality`: command, table and picture."""

from benchmarks.quality.command import command
from benchmarks.quality.report import plot, table

__all__ = ["command", "plot", "table"]
