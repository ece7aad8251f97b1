"""Spans for OpenTelemetry, where a collector is named and the libraries are there.

The environment says where to: `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, as OpenTelemetry's
specification has it. A request that has a `traceparent`, as W3C's Trace Context writes it, joins that trace.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any, Final

from bark_tracing.span import NO_SPAN, Attribute, Span

log = logging.getLogger(__name__)
ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
EXPORT_TIMEOUT_S: Final = 2  #: of one export; a collector that is away must not hold up the end of the program
SHUTDOWN_S: Final = 3.0


class Tracing:
    """Makes the spans of requests. Without a provider, it makes none. library: what makes them."""

    def __init__(self, provider: Any = None, *, library: str = "bark_tracing") -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(library) if provider else None

    def request(self, name: str, *, traceparent: object = None, **attributes: Attribute) -> Span:
        """The span of a request, inside the trace of its client if that has one."""
        given = traceparent if isinstance(traceparent, str) and traceparent else None
        if self._tracer is None:
            return Span(given) if given else NO_SPAN
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        context = TraceContextTextMapPropagator().extract({"traceparent": given} if given else {})
        span = self._tracer.start_span(name, context, kind=SpanKind.SERVER, attributes=attributes)
        return _Recorded(self._tracer, span)

    def close(self) -> None:
        """Send what is left, for at most `SHUTDOWN_S`."""
        if self._provider is not None:
            closing = threading.Thread(target=self._provider.shutdown, name="tracing", daemon=True)
            closing.start()
            closing.join(SHUTDOWN_S)


class _Recorded(Span):
    """A span of OpenTelemetry. Parents are given by hand: work inside one runs side by side, and in other contexts."""

    def __init__(self, tracer: Any, span: Any) -> None:
        from opentelemetry.trace import set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer, self._span, self._inside = tracer, span, set_span_in_context(span)
        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier, self._inside)
        super().__init__(carrier.get("traceparent"))

    def child(self, name: str, *, seconds: float = 0.0, **attributes: Attribute) -> Span:
        began = time.time_ns() - round(seconds * 1e9)
        span = self._tracer.start_span(name, self._inside, start_time=began, attributes=attributes)
        return _Recorded(self._tracer, span)

    def event(self, name: str) -> None:
        self._span.add_event(name)

    def note(self, **attributes: Attribute) -> None:
        self._span.set_attributes(attributes)

    def end(self, error: BaseException | None = None) -> None:
        if error is not None:
            from opentelemetry.trace import Status, StatusCode

            self._span.set_status(Status(StatusCode.ERROR, str(error) or type(error).__name__))
        self._span.end()


def open_tracing(service: str, *, library: str) -> Tracing:
    """What the environment asks for. service: the name of the program in the traces."""
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
    provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=EXPORT_TIMEOUT_S)))
    return Tracing(provider, library=library)
