"""The benchmarks' own error, and the remedy for a missing library. Imports the standard library only."""

from __future__ import annotations

from bark_serving.errors import UserError

INSTALL_BENCH = "In the checkout, run `pip install -e ./client -e '.[bench]'`."


class BenchmarkError(UserError):
    """A measurement cannot be made."""
