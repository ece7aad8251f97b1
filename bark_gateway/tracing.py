"""Spans of requests and speeches for OpenTelemetry, where a collector is named and the libraries are there.

The environment says where to: `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`. A request that has
the header `traceparent` joins that trace, and Triton gets the trace of each speech.
"""

from __future__ import annotations

import logging
import os
import threading
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, Self

log = logging.getLogger(__name__)
ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
SERVICE: Final = "bark-gateway"
EXPORT_TIMEOUT_S: Final = 2  #: of one export; a collector that is away must not hold up the end of the gateway
SHUTDOWN_S: Final = 3.0
Attribute = str | int | float | bool


class Span:
    """Some work. This one records nothing, and passes on the trace that the client gave."""

    def __init__(self, traceparent: str | None = None) -> None:
        self.traceparent = traceparent  #: for those who do a part of the work

    def child(self, name: str, **attributes: Attribute) -> Span:
        """Work inside this, which begins now."""
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


#: The span of the HTTP request or WebSocket that this task works for.
CURRENT: Final[ContextVar[Span]] = ContextVar("span", default=Span())  # noqa: B039 - it has no state


class Tracing:
    """Makes the spans of requests. Without a provider, it makes none."""

    def __init__(self, provider: Any = None) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("bark_gateway") if provider else None

    def request(self, name: str, *, traceparent: str | None, **attributes: Attribute) -> Span:
        """The span of a request, inside the trace of its client if that has one."""
        if self._tracer is None:
            return Span(traceparent)
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        context = TraceContextTextMapPropagator().extract({"traceparent": traceparent} if traceparent else {})
        span = self._tracer.start_span(name, context, kind=SpanKind.SERVER, attributes=attributes)
        return _Recorded(self._tracer, span)

    def close(self) -> None:
        """Send what is left, for at most `SHUTDOWN_S`."""
        if self._provider is not None:
            closing = threading.Thread(target=self._provider.shutdown, name="tracing", daemon=True)
            closing.start()
            closing.join(SHUTDOWN_S)


class _Recorded(Span):
    """A span of OpenTelemetry. Parents are given by hand: a generator may end in another context than it began in."""

    def __init__(self, tracer: Any, span: Any) -> None:
        from opentelemetry.trace import set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer, self._span, self._inside = tracer, span, set_span_in_context(span)
        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier, self._inside)
        super().__init__(carrier.get("traceparent"))

    def child(self, name: str, **attributes: Attribute) -> Span:
        return _Recorded(self._tracer, self._tracer.start_span(name, self._inside, attributes=attributes))

    def event(self, name: str) -> None:
        self._span.add_event(name)

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
