"""`serve`: command, table and picture."""

from benchmarks.serve.command import command
from benchmarks.serve.report import plot, table

__all__ = ["command", "plot", "table"]
