"""What this package raises, besides `TypeError`, `ValueError` and `IndexError` for wrong arguments."""

from __future__ import annotations


class KernelError(Exception):
    """Base of this package's errors."""


class Unsupported(KernelError):
    """This processor, these sizes or this file cannot be served by the kernels."""
