"""Traces of OpenTelemetry: from a client's header, through the gateway, to Triton."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import httpx2
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from bark_tracing import Tracing
from tests.bark_gateway.served import Served
from tests.bark_gateway.test_servers import wait_until
from tests.client.fake_triton import FakeTriton, hang, say_error

SPEECH = "/v1/audio/speech"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


class Seen:
    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracing = Tracing(provider)

    def finished(self) -> list[ReadableSpan]:
        """All spans, in the order in which they ended."""
        return list(self._exporter.get_finished_spans())

    def speeches(self) -> dict[str, ReadableSpan]:
        """Spans by name, once the request has ended."""
        wait_until(lambda: any(span.name == f"POST {SPEECH}" for span in self._exporter.get_finished_spans()))
        return {span.name: span for span in self._exporter.get_finished_spans()}


@pytest.fixture
def seen() -> Seen:
    return Seen()


def post(url: str, **headers: str) -> httpx2.Response:
    return httpx2.post(url + SPEECH, json={"input": "Hello.", "response_format": "pcm"}, headers=headers, timeout=20)


def test_a_trace_goes_from_the_client_to_triton(serve: Callable[..., Served], triton: FakeTriton, seen: Seen) -> None:
    post(serve(tracing=seen.tracing).url, traceparent=PARENT)
    spans = seen.speeches()
    request, speech = spans[f"POST {SPEECH}"], spans["speech"]
    assert f"{request.context.trace_id:032x}" == TRACE
    assert request.parent and f"{request.parent.span_id:016x}" == PARENT.split("-")[2]
    assert speech.parent and speech.parent.span_id == request.context.span_id
    assert triton.traceparents == [f"00-{TRACE}-{speech.context.span_id:016x}-01"]
    assert [event.name for event in speech.events] == ["admitted", "first audio"]
    assert speech.attributes and speech.attributes["format"] == "pcm" and speech.attributes["characters"] == 6
    assert request.attributes and request.attributes["http.response.status_code"] == 200


def test_a_request_without_a_trace_begins_one(serve: Callable[..., Served], triton: FakeTriton, seen: Seen) -> None:
    post(serve(tracing=seen.tracing).url)
    assert seen.speeches()[f"POST {SPEECH}"].parent is None
    assert triton.traceparents[0].startswith("00-")


@pytest.mark.parametrize("after_chunks", [0, 1])
def test_a_speech_that_fails_is_an_error(
    serve: Callable[..., Served], triton: FakeTriton, seen: Seen, after_chunks: int
) -> None:
    triton.plan.append(say_error("[INTERNAL] piece 1 is babble.", after_chunks=after_chunks))
    url = serve(tracing=seen.tracing).url
    with httpx2.stream("POST", url + SPEECH, json={"input": "Hello."}) as answer:
        try:
            answer.read()
        except httpx2.RemoteProtocolError:
            assert after_chunks
    speech = seen.speeches()["speech"]
    assert not speech.status.is_ok and speech.status.description == "piece 1 is babble."


def test_the_span_of_a_client_that_left_ends(serve: Callable[..., Served], triton: FakeTriton, seen: Seen) -> None:
    triton.plan.append(hang(after_chunks=1))
    url = serve(tracing=seen.tracing).url
    with httpx2.stream("POST", url + SPEECH, json={"input": "Hello.", "response_format": "pcm"}) as answer:
        audio = answer.iter_raw()
        next(audio)
    spans = seen.speeches()
    attributes = spans[f"POST {SPEECH}"].attributes
    assert attributes and attributes["outcome"] == "left" and "speech" in spans


def test_without_a_collector_the_clients_trace_is_passed_on(
    serve: Callable[..., Served], triton: FakeTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = serve().url
    post(url, traceparent=PARENT)
    post(url)
    assert triton.traceparents == [PARENT, ""]


def test_the_gateway_needs_no_tracing_libraries() -> None:
    """FastAPI brings the interface of OpenTelemetry, but nothing that records."""
    program = (
        "import sys; sys.modules['opentelemetry.sdk'] = sys.modules['opentelemetry.exporter'] = None;"
        "import bark_gateway.app, bark_gateway.cli"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
