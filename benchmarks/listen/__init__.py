"""`listen`: command, table and picture."""

from benchmarks.listen.command import command
from benchmarks.listen.report import plot, table

__all__ = ["command", "plot", "table"]
