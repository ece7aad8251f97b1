"""Traces of OpenTelemetry, for the server and the gateway. Without a collector, OpenTelemetry is not imported."""

from bark_tracing.span import NO_SPAN, Attribute, Span
from bark_tracing.tracing import Tracing, open_tracing

__all__ = ["NO_SPAN", "Attribute", "Span", "Tracing", "open_tracing"]
