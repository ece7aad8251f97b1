"""Sizes that a GPU's work is rounded up to, so that a few recorded steps serve every size."""

from __future__ import annotations


def padded_rows(rows: int, limit: int) -> int:
    """The smallest power of two that is at least ``rows``, but at most ``limit``."""
    return min(1 << (rows - 1).bit_length(), limit)
