"""Spans of requests, pieces and stages for OpenTelemetry, where a collector is named and the libraries are there.

The environment says where to: `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, as OpenTelemetry's
specification has it. A request that has the parameter `traceparent` joins that trace.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any, Final

from bark_serving.speech.trace import NO_SPAN, Attribute, Span

log = logging.getLogger(__name__)
ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
SERVICE: Final = "bark-triton"
EXPORT_TIMEOUT_S: Final = 2  #: of one export; a collector that is away must not hold up the end of the server
SHUTDOWN_S: Final = 3.0


class Tracing:
    """Makes the spans of requests. Without a provider, it makes none."""

    def __init__(self, provider: Any = None) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("bark_serving") if provider else None

    def request(self, traceparent: object = None, **attributes: Attribute) -> Span:
        """The span of a request, inside the trace of its client if that has one."""
        if self._tracer is None:
            return NO_SPAN
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier = {"traceparent": traceparent} if isinstance(traceparent, str) else {}
        context = TraceContextTextMapPropagator().extract(carrier)
        kind = _kind_server()
        return _Recorded(
            self._tracer, self._tracer.start_span("bark.request", context, kind=kind, attributes=attributes)
        )

    def close(self) -> None:
        """Send what is left, for at most `SHUTDOWN_S`."""
        if self._provider is not None:
            closing = threading.Thread(target=self._provider.shutdown, name="tracing", daemon=True)
            closing.start()
            closing.join(SHUTDOWN_S)


class _Recorded(Span):
    """A span of OpenTelemetry. Parents are given by hand: tasks of several pieces run side by side in one context."""

    def __init__(self, tracer: Any, span: Any) -> None:
        self._tracer, self._span = tracer, span

    def child(self, name: str, *, seconds: float = 0.0, **attributes: Attribute) -> Span:
        from opentelemetry.trace import set_span_in_context

        began = time.time_ns() - round(seconds * 1e9)
        inside = set_span_in_context(self._span)
        return _Recorded(self._tracer, self._tracer.start_span(name, inside, start_time=began, attributes=attributes))

    def note(self, **attributes: Attribute) -> None:
        self._span.set_attributes(attributes)

    def end(self, error: BaseException | None = None) -> None:
        if error is not None:
            from opentelemetry.trace import Status, StatusCode

            self._span.set_status(Status(StatusCode.ERROR, str(error) or type(error).__name__))
        self._span.end()


def open_tracing() -> Tracing:
    """What the environment asks for."""
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return Tracing()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.warning("a collector of traces is named, but %s is missing: install bark-triton[tracing]", error.name)
        return Tracing()
    provider = TracerProvider(resource=Resource.create({"service.name": SERVICE}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=EXPORT_TIMEOUT_S)))
    return Tracing(provider)


def _kind_server() -> Any:
    from opentelemetry.trace import SpanKind

    return SpanKind.SERVER
