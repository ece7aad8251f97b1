"""What a request tells a tracer: its pieces and the calls of stages. Here nobody listens; `triton.tracing` does."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

Attribute = str | int | float | bool


class Span:
    """Some work, with the work inside it. This one forgets everything."""

    def child(self, name: str, *, seconds: float = 0.0, **attributes: Attribute) -> Span:
        """Work inside this, which began `seconds` ago."""
        return self

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
