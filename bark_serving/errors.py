"""Errors of the serving side: those a user of the commands sees, and those that answer a request.

`UserError` says a problem and its remedy; `bark_serving.cli.console.errors_shown` prints both. `ServingError` goes to a
client: it has a code and a message of one sentence that the client can act on.
"""

from __future__ import annotations

import re


class UserError(Exception):
    """An error that a user can repair. `problem` is one sentence; `remedy` says what to do, and may be empty."""

    def __init__(self, problem: str, *, remedy: str = "") -> None:
        super().__init__(f"{problem} {remedy}".strip())
        self.problem = problem
        self.remedy = remedy


INSTALL_AGAIN = "Install bark-triton again (`pip install .` in the checkout)."


def install_remedy(extra: str | None) -> str:
    """The remedy for a missing library. It names the checkout, because bark-triton is on no package index."""
    return f"Run `pip install -e '.[{extra}]'` in the checkout of bark-triton."


class ServingError(Exception):
    """Something the server could not do; the base class of the errors that answer a request."""

    code = "INTERNAL"

    def __str__(self) -> str:
        return f"[{self.code}] {super().__str__()}"


class InvalidRequest(ServingError):
    """The request is at fault: change it and send it again."""

    code = "INVALID_ARGUMENT"


class StageFailed(ServingError):
    """A stage below the orchestrator failed; the same request may work later."""

    code = "UNAVAILABLE"


class SpeechFailed(ServingError):
    """The model spoke badly however often it tried. The same request fails again, on any server."""

    code = "SPEECH_FAILED"


class Cancelled(ServingError):
    """The request was stopped by its client."""

    code = "CANCELLED"


def from_wire(message: str) -> ServingError:
    """The error that a stage's message stands for. A message without a code gives `StageFailed`."""
    match = re.search(r"\[([A-Z_]+)\] (.+)", message)
    if match:
        for kind in (InvalidRequest, Cancelled, StageFailed):
            if kind.code == match[1]:
                return kind(match[2])
    return StageFailed(message)
