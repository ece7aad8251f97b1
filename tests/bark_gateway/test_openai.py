"""The real `openai` package as a client."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable

import openai as package
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.bark_gateway.decoded import decode
from tests.bark_gateway.served import Served
from tests.bark_gateway.test_speech import tones
from tests.client.fake_triton import CHUNK, FakeTriton, hang, say_error

FORMATS = ["mp3", "opus", "aac", "flac", "wav", "pcm"]


@pytest.mark.parametrize("kind", FORMATS)
def test_create_returns_the_speech(openai: OpenAI, kind: str) -> None:
    answer = openai.audio.speech.create(model="tts-1", voice="me", input="One. Two.", response_format=kind)  # type: ignore[arg-type]
    assert decode(answer.content, format=kind).size >= 2 * CHUNK


def test_a_streamed_answer_comes_in_pieces(openai: OpenAI, triton: FakeTriton) -> None:
    """The first audio is there while the server still works."""
    triton.plan.append(hang(after_chunks=1))
    with openai.audio.speech.with_streaming_response.create(
        model="bark", voice="me", input="One. Two.", response_format="pcm"
    ) as answer:
        first = next(answer.iter_bytes(CHUNK * 2))
        assert answer.headers["content-type"].startswith("audio/pcm") and len(first) == CHUNK * 2
    assert triton.cancelled.acquire(timeout=5)


def test_events_arrive_as_typed_ones(openai: OpenAI) -> None:
    with openai.audio.speech.with_streaming_response.create(
        model="bark", voice="me", input="One. Two.", response_format="pcm", stream_format="sse"
    ) as answer:
        lines = [line for line in answer.iter_lines() if line.startswith("data: ")]
    audio = b"".join(base64.b64decode(line.split('"audio":"')[1].split('"')[0]) for line in lines[:-1])
    assert audio == tones(2)


def test_the_asynchronous_client_speaks_side_by_side(gateway: Served) -> None:
    async def both() -> list[bytes]:
        async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none") as client:
            asked = [
                client.audio.speech.create(model="bark", voice="me", input=text, response_format="pcm")
                for text in ("One.", "One. Two.")
            ]
            return [answer.content for answer in await asyncio.gather(*asked)]

    assert asyncio.run(both()) == [tones(1), tones(2)]


def test_our_options_travel_in_the_extra_body(openai: OpenAI, triton: FakeTriton) -> None:
    openai.audio.speech.create(
        model="bark", voice="me", input="Hi.", extra_body={"seed": 5, "latency": "low", "schedule": "fast"}
    )
    assert (int(triton.requests[0]["seed"]), triton.requests[0]["latency"]) == (5, b"low")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"input": ""}, package.BadRequestError),
        ({"model": "gpt"}, package.NotFoundError),
        ({"instructions": "Sound happy."}, package.BadRequestError),
    ],
)
def test_a_refusal_is_an_exception_of_the_package(
    openai: OpenAI, fields: dict[str, str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        openai.audio.speech.create(**{"model": "bark", "voice": "me", "input": "x", **fields})  # type: ignore[arg-type]


def test_the_package_sends_again_after_a_failure(serve: Callable[..., Served], triton: FakeTriton) -> None:
    triton.plan.append(say_error("[INTERNAL] piece 1 is babble."))
    with OpenAI(base_url=f"{serve().url}/v1", api_key="none", max_retries=1) as client:
        answer = client.audio.speech.create(model="bark", voice="me", input="One.", response_format="pcm")
    assert answer.content == tones(1)


def test_the_package_does_not_send_a_text_again_on_which_the_model_failed(
    serve: Callable[..., Served], triton: FakeTriton
) -> None:
    """It would fail again: the seed is the same."""
    triton.plan.append(say_error("[SPEECH_FAILED] piece 1 ('One.') failed 3 times: try another seed or another text."))
    gateway = serve()
    with (
        OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=2) as client,
        pytest.raises(package.UnprocessableEntityError, match="try another seed"),
    ):
        client.audio.speech.create(
            model="bark", voice="me", input="One.", extra_body={"on_failure": "error", "seed": 7}
        )
    assert len(triton.requests) == 1
    assert 'bark_gateway_speeches_total{outcome="failed"} 1.0' in gateway.gateway.metrics.text().decode()


def test_the_models_are_listed(openai: OpenAI) -> None:
    assert [model.id for model in openai.models.list()] == ["bark", "tts-1", "tts-1-hd"]
