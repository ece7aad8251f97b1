"""`chaos`: command, table and picture."""

from benchmarks.chaos.command import command
from benchmarks.chaos.report import plot, table

__all__ = ["command", "plot", "table"]
