"""Errors of the serving side. Each has a Triton status code, and a message of one sentence that a user can act on."""

from __future__ import annotations

import re


class ServingError(Exception):
    """Something the server could not do; the base class of this package's errors."""

    code = "INTERNAL"

    def __str__(self) -> str:
        return f"[{self.code}] {super().__str__()}"


class InvalidRequest(ServingError):
    """The request is at fault: change it and send it again."""

    code = "INVALID_ARGUMENT"


class StageFailed(ServingError):
    """A stage below the orchestrator failed; the same request may work later."""

    code = "UNAVAILABLE"


class Cancelled(ServingError):
    """The request was stopped by its client."""

    code = "CANCELLED"


def from_wire(message: str) -> ServingError:
    """The error that a stage's message stands for; what has no code counts as `StageFailed`."""
    match = re.search(r"\[([A-Z_]+)\] (.+)", message)
    if match:
        for kind in (InvalidRequest, Cancelled, StageFailed):
            if kind.code == match[1]:
                return kind(match[2])
    return StageFailed(message)
