"""What work tells a tracer. A `Span` itself records nothing; `tracing` has the one that does."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

Attribute = str | int | float | bool


class Span:
    """Some work, with the work inside it. This one records nothing, and passes on the trace that the client gave."""

    def __init__(self, traceparent: str | None = None) -> None:
        self.traceparent = traceparent  #: for those who do a part of the work

    def child(self, name: str, *, seconds: float = 0.0, **attributes: Attribute) -> Span:
        """Work inside this, which began `seconds` ago."""
        return self

    def event(self, name: str) -> None:
        """Something happens now."""

    def note(self, **attributes: Attribute) -> None:
        """Say something about it."""

    def end(self, error: BaseException | None = None) -> None:
        """It ends now, perhaps with an error. Leaving a `with` block does the same."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(error)


NO_SPAN: Final = Span()
