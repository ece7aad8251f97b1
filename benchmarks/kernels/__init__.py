"""How near the kernels are to this machine's limits, operation by operation, and how much faster than ONNX Runtime."""

from benchmarks.kernels.command import command
from benchmarks.kernels.report import plot, table

__all__ = ["command", "plot", "table"]
