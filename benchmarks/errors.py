"""What can go wrong while measuring."""

from __future__ import annotations

from bark_serving.errors import UserError


class BenchmarkError(UserError):
    """A measurement cannot be made."""
