"""The gateway in front of a real Triton, and the real `openai` package in front of the gateway."""

from __future__ import annotations

import asyncio
import gzip
import io
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import numpy as np
import pytest
from openai import AsyncOpenAI, OpenAI
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from bark_client import BarkClient
from bark_client.audio import pcm16
from tests.bark_gateway.decoded import RATE, decode, messages
from tests.bark_gateway.served import Served, served
from tests.bark_gateway.test_servers import wait_until
from tests.system.conftest import RealServer, serve_miniature

TEXT = "Good morning. How are you today?"
FORMATS = ["mp3", "opus", "aac", "flac", "wav", "pcm"]
#: What FFmpeg says of every file of these formats, which have no place for a length at their front.
EXPECTED = ("Estimating duration from bitrate", "Ignoring maximum wav data size", "Packet corrupt")


class Collector:
    """A collector of OpenTelemetry, which keeps the spans that the gateway and the server send."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []  # name of the service, and the span
        kept = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    (service,) = [
                        one.value.string_value for one in resource.resource.attributes if one.key == "service.name"
                    ]
                    kept.extend((service, span) for scope in resource.scope_spans for span in scope.spans)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def trace(self, trace_id: str) -> dict[str, list[Span]]:
        """The spans of a trace, by service and name."""
        found: dict[str, list[Span]] = {}
        for service, span in list(self.spans):
            if span.trace_id.hex() == trace_id:
                found.setdefault(f"{service}: {span.name}", []).append(span)
        return found


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """It is there before the server starts, which is told about it by the environment."""
    collector = Collector()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server.server_port}")
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        yield collector
    collector.server.shutdown()


@pytest.fixture(scope="module")
def miniature_server(
    collector: Collector,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    real_servers: list[RealServer],
) -> Iterator[RealServer]:
    """One that sends its spans to the collector."""
    with serve_miniature(request, tmp_path_factory, real_servers) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(collector: Collector, miniature_server: RealServer) -> Iterator[Served]:
    with served(miniature_server.url) as running:
        yield running


@pytest.fixture(scope="module")
def openai(gateway: Served) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def samples(miniature_server: RealServer) -> np.ndarray:
    """What the SDK gets for `TEXT`."""
    with BarkClient(miniature_server.url) as bark:
        return bark.speak(TEXT, voice="joe", seed=3).samples


def test_the_samples_are_those_that_the_sdk_gets(openai: OpenAI, samples: np.ndarray) -> None:
    answer = openai.audio.speech.create(
        model="bark", voice="joe", input=TEXT, response_format="pcm", extra_body={"seed": 3}
    )
    assert answer.content == pcm16(samples)


@pytest.mark.parametrize("kind", FORMATS)
def test_ffmpeg_reads_every_format_to_its_end(openai: OpenAI, samples: np.ndarray, kind: str) -> None:
    answer = openai.audio.speech.create(
        model="tts-1",
        voice="joe",
        input=TEXT,
        response_format=kind,  # type: ignore[arg-type]
        extra_body={"seed": 3},
    )
    with messages() as said:
        heard = decode(answer.content, format=kind)
    assert samples.size <= heard.size <= samples.size + 0.15 * RATE
    assert np.sqrt((heard**2).sum()) == pytest.approx(np.sqrt((samples**2).sum()), rel=0.1)
    assert [one for one in said if not one.startswith(EXPECTED)] == []


def test_speech_that_is_still_made_is_heard_already(openai: OpenAI) -> None:
    began, first = time.monotonic(), 0.0
    with openai.audio.speech.with_streaming_response.create(
        model="bark", voice="joe", input=" ".join([TEXT] * 6), response_format="opus"
    ) as answer:
        for data in answer.iter_bytes():
            first = first or (time.monotonic() - began if b"OpusTags" not in data else 0.0)
    assert first < 0.6 * (time.monotonic() - began)


def test_asynchronous_clients_speak_side_by_side(gateway: Served, samples: np.ndarray) -> None:
    async def spoken() -> list[bytes]:
        async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none") as client:
            asked = [
                client.audio.speech.create(
                    model="bark", voice="joe", input=TEXT, response_format="pcm", extra_body={"seed": 3}
                )
                for _ in range(3)
            ]
            return [answer.content for answer in await asyncio.gather(*asked)]

    assert asyncio.run(spoken()) == [pcm16(samples)] * 3


def test_speed_keeps_what_is_said_and_changes_the_time(openai: OpenAI, samples: np.ndarray) -> None:
    answer = openai.audio.speech.create(
        model="bark", voice="joe", input=TEXT, response_format="pcm", speed=1.5, extra_body={"seed": 3}
    )
    assert len(answer.content) / 2 == pytest.approx(samples.size / 1.5, rel=0.03)


def test_a_voice_is_cloned_heard_used_and_deleted(openai: OpenAI, gateway: Served, samples: np.ndarray) -> None:
    clip = openai.audio.speech.create(model="bark", voice="jo", input=TEXT, response_format="mp3").content
    made = openai.audio.voices.create(name="copy", audio_sample=("copy.mp3", io.BytesIO(clip)), consent="a test")
    assert made.id == "copy"
    listed = httpx2.get(f"{gateway.url}/v1/audio/voices").json()["data"]
    assert {"copy", "joe", "jo"} <= {voice["id"] for voice in listed}
    preview = httpx2.get(f"{gateway.url}/v1/audio/voices/copy/preview", timeout=60)
    assert preview.status_code == 200, preview.text
    assert decode(preview.content, format="wav").size > RATE
    said = openai.audio.speech.create(model="bark", voice="copy", input="Hello.", response_format="pcm")
    assert len(said.content) > RATE // 4
    assert openai.audio.voices.delete("copy").deleted


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"voice": "nobody"}, 400, "no voice 'nobody'"),
        ({"input": "…"}, 400, "letter"),
        ({"language": "xx"}, 400, "language"),
        ({"semantic_temperature": 11.0}, 400, "semantic_temperature"),
        ({"input": "Hi. [voice:nobody] Hi."}, 400, "nobody"),
    ],
)
def test_what_the_server_refuses_is_a_400_in_words(
    gateway: Served, fields: dict[str, object], status: int, words: str
) -> None:
    answer = httpx2.post(f"{gateway.url}/v1/audio/speech", json={"input": "Hello.", **fields}, timeout=60)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]


def test_a_trace_leads_from_the_client_to_every_stage(gateway: Served, collector: Collector) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = httpx2.post(
        f"{gateway.url}/v1/audio/speech",
        json={"input": TEXT, "voice": "joe", "retries": 0},
        headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"},
        timeout=60,
    )
    assert answer.status_code == 200
    request = "bark-gateway: POST /v1/audio/speech"
    wait_until(lambda: {request, "bark-triton: bark.request"} <= set(collector.trace(trace)))
    spans = collector.trace(trace)
    stages = {"bark.semantic", "bark.coarse", "bark.fine", "bark.encodec_decode"}
    assert {f"bark-triton: {name}" for name in (*stages, "bark.piece")} <= set(spans)
    (speech,), (spoken,) = spans["bark-gateway: speech"], spans["bark-triton: bark.request"]
    assert spoken.parent_span_id == speech.span_id
    assert all(piece.parent_span_id == spoken.span_id for piece in spans["bark-triton: bark.piece"])
