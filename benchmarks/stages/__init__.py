"""`stages`: command, table and picture."""

from benchmarks.stages.command import command
from benchmarks.stages.report import plot, table

__all__ = ["command", "plot", "table"]
