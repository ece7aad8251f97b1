"""Spans of OpenTelemetry, as the server and the gateway make them."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from bark_tracing import NO_SPAN, Tracing, open_tracing

SERVICE, REQUEST = "bark", "bark.request"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def recorded() -> tuple[Tracing, InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracing(provider), exporter


def test_a_request_joins_the_trace_of_its_client() -> None:
    tracing, exporter = recorded()
    with (
        tracing.request(REQUEST, traceparent=f"00-{TRACE}-00f067aa0ba902b7-01", characters=6) as span,
        span.child("bark.piece") as piece,
    ):
        piece.child("bark.fine", seconds=0.5, amount=7).end()
    fine, piece_span, request = exporter.get_finished_spans()
    assert {f"{one.context.trace_id:032x}" for one in (fine, piece_span, request)} == {TRACE}
    assert fine.parent and fine.parent.span_id == piece_span.context.span_id
    assert piece_span.parent and piece_span.parent.span_id == request.context.span_id
    assert fine.start_time and fine.end_time and (fine.end_time - fine.start_time) / 1e9 == pytest.approx(0.5, abs=0.1)
    assert request.attributes and request.attributes["characters"] == 6


@pytest.mark.parametrize("given", [None, "", "nonsense", 7])
def test_a_trace_that_can_not_be_read_is_as_none(given: object) -> None:
    tracing, exporter = recorded()
    tracing.request(REQUEST, traceparent=given).end()
    assert exporter.get_finished_spans()[0].parent is None


def test_an_error_is_the_status_of_its_span() -> None:
    tracing, exporter = recorded()
    with pytest.raises(RuntimeError), tracing.request(REQUEST):
        raise RuntimeError("it broke")
    assert exporter.get_finished_spans()[0].status.description == "it broke"


def test_without_a_collector_nothing_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert open_tracing(SERVICE, library="tests").request(REQUEST) is NO_SPAN


def test_a_collector_that_is_away_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    tracing = open_tracing(SERVICE, library="tests")
    tracing.request(REQUEST).end()
    began = time.monotonic()
    tracing.close()
    assert time.monotonic() - began < 4


def test_missing_libraries_are_named_once_a_collector_is() -> None:
    program = (
        "import os, sys, logging; sys.modules['opentelemetry.exporter'] = None; logging.basicConfig();"
        "os.environ['OTEL_EXPORTER_OTLP_ENDPOINT'] = 'http://127.0.0.1:9';"
        "from bark_tracing import open_tracing;"
        "print(open_tracing('bark', library='tests').request('x').__class__.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "Span\n" and "install bark-triton[tracing]" in done.stderr
