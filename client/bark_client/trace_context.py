"""The trace that requests belong to, as W3C's Trace Context writes it.

A program that traces sets it. The server then joins its own spans to that trace, if it traces too.

>>> TRACEPARENT.set("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
>>> bark.speak("Hello.")
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

TRACEPARENT: Final[ContextVar[str | None]] = ContextVar("traceparent", default=None)
