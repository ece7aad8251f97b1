"""`POST /v1/audio/speech`."""

from __future__ import annotations

import json

from fastapi import APIRouter
from starlette.responses import Response

from bark_client.protocol import SAMPLE_RATE
from bark_gateway.errors import UNSPEAKABLE, GatewayError
from bark_gateway.formats import MEDIA_TYPES
from bark_gateway.gateway import OfGateway, OfKey
from bark_gateway.requests import Call, SpeechRequest
from bark_gateway.routes.answers import ERRORS, of_kind
from bark_gateway.routes.keyed import KeyedRoute
from bark_gateway.speech import as_audio, as_events
from bark_gateway.streaming import Streamed

router = APIRouter(route_class=KeyedRoute)

_AUDIO = {name.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}} for name in MEDIA_TYPES.values()}
_DOCUMENTED = {
    200: {
        "description": "The audio, or the events.",
        "content": {**_AUDIO, "text/event-stream": {"schema": {}}},
        "headers": {"x-bark-seed": {"description": "The seed of the speech.", "schema": {"type": "string"}}},
    },
    **ERRORS,
    UNSPEAKABLE: of_kind("The model failed on this text with this seed. Send another seed, or another text."),
}


@router.post("/v1/audio/speech", response_class=Response, responses=_DOCUMENTED)
async def create_speech(body: SpeechRequest, gateway: OfGateway, key: OfKey) -> Response:
    """Speak a text. The audio leaves while it is made."""
    call = Call.of(body, body.input, settings=gateway.settings)
    parts = gateway.speak(call, key=key)
    sse = body.stream_format == "sse"
    return Streamed(
        as_events(parts, call=call) if sse else as_audio(parts),
        headers={"x-bark-seed": str(call.seed), "cache-control": "no-store", "x-accel-buffering": "no"},
        media_type="text/event-stream" if sse else MEDIA_TYPES[call.format].format(rate=SAMPLE_RATE),
        failure=_failure if sse else None,
        send_timeout_s=gateway.settings.send_timeout_s,
    )


def _failure(error: GatewayError) -> bytes:
    """The event of an error, in the form that OpenAI's clients raise."""
    return b"event: error\ndata: " + json.dumps(error.envelope()).encode("ascii") + b"\n\n"
