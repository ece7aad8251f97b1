"""What can go wrong while measuring."""

from __future__ import annotations


class BenchmarkError(Exception):
    """A measurement cannot be made. `problem` is one sentence; `remedy` says what to do about it."""

    def __init__(self, problem: str, *, remedy: str = "") -> None:
        super().__init__(f"{problem} {remedy}".strip())
        self.problem = problem
        self.remedy = remedy
