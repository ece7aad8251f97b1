"""The benchmarks' own error."""

from __future__ import annotations

from bark_serving.errors import UserError


class BenchmarkError(UserError):
    """A measurement cannot be made."""
