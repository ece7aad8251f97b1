"""Asking a stream for more than it has."""

from __future__ import annotations

from typing import Any

import pytest


def error_of(stream: Any) -> Exception:
    """The error that the next chunk of a stream raises."""
    with pytest.raises(Exception) as caught:
        next(stream)
    return caught.value
