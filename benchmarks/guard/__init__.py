"""`guard`: command, table and picture."""

from benchmarks.guard.command import command
from benchmarks.guard.report import plot, table

__all__ = ["command", "plot", "table"]
