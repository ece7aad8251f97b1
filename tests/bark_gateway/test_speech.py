"""`POST /v1/audio/speech`: what goes to the server, and what comes back."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import grpc
import httpx2
import numpy as np
import pytest

from bark_client.audio import pcm16
from bark_client.protocol import OPTIONS
from bark_gateway.requests import SpeechRequest
from tests.bark_gateway.decoded import decode
from tests.bark_gateway.served import Served
from tests.client.fake_triton import (
    CHUNK,
    FakeTriton,
    abort,
    chunk,
    end_early,
    final,
    hang,
    last_chunk,
    say_error,
    say_nothing,
)

SPEECH = "/v1/audio/speech"


def speak(http: httpx2.Client, text: str = "One. Two.", **fields: Any) -> httpx2.Response:
    return http.post(SPEECH, json={"input": text, "response_format": "pcm", **fields})


def tones(count: int) -> bytes:
    """What the stand-in for Triton says in `count` sentences."""
    wave = np.sin(np.arange(CHUNK) * 2 * np.pi * 220 / 24_000)
    return b"".join(pcm16((wave * (number + 1) / (count + 1)).astype(np.float32)) for number in range(count))


def events(response: httpx2.Response) -> list[dict[str, Any]]:
    lines = response.text.splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def test_the_samples_are_those_of_the_server(http: httpx2.Client) -> None:
    assert speak(http, "One. Two. Three.").content == tones(3)


@pytest.mark.parametrize("kind", ["mp3", "opus", "aac", "flac"])
def test_every_event_with_audio_tells_the_text_of_its_piece(http: httpx2.Client, triton: FakeTriton, kind: str) -> None:
    """Also the last one, which has what the encoder held back, and where the last answer does not tell it."""

    def in_pieces(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Any:
        yield chunk(0, 2, report={"piece": "One."})
        yield chunk(1, 2, report={"piece": "Two."})
        yield last_chunk(inputs, 1, 2)
        yield final()

    triton.plan.append(in_pieces)
    *deltas, _ = events(speak(http, stream_format="sse", response_format=kind))
    texts = [delta["text"] for delta in deltas]
    assert len(texts) >= 2 and set(texts) == {"One.", "Two."} and texts[-1] == "Two."


def test_the_text_of_a_piece_is_not_told_of_the_next_one(http: httpx2.Client, triton: FakeTriton) -> None:
    def in_pieces(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Any:
        yield chunk(0, 2, report={"piece": "One."})
        yield chunk(0, 2)
        yield chunk(1, 2)
        yield last_chunk(inputs, 1, 2)
        yield final()

    triton.plan.append(in_pieces)
    *deltas, _ = events(speak(http, stream_format="sse"))
    assert [delta["text"] for delta in deltas] == ["One.", "One.", None, None]


def test_null_is_as_if_a_field_were_left_out(http: httpx2.Client, triton: FakeTriton) -> None:
    nulls = dict.fromkeys(SpeechRequest.model_fields.keys() - {"input"})
    answer = http.post(SPEECH, json={**nulls, "input": "One."})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "audio/mpeg"
    assert triton.requests[0].keys() == {"text", "seed", "stream"}


@pytest.mark.parametrize("kind", ["mp3", "opus", "aac", "flac", "wav"])
def test_every_format_holds_the_whole_speech(http: httpx2.Client, kind: str) -> None:
    answer = speak(http, "One. Two. Three.", response_format=kind)
    assert answer.status_code == 200
    assert decode(answer.content, format=kind).size >= 3 * CHUNK


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [
        ("mp3", "audio/mpeg"),
        ("opus", "audio/ogg; codecs=opus"),
        ("aac", "audio/aac"),
        ("flac", "audio/flac"),
        ("wav", "audio/wav"),
        ("pcm", "audio/pcm; rate=24000; channels=1"),
    ],
)
def test_the_content_type_is_that_of_the_format(http: httpx2.Client, kind: str, media_type: str) -> None:
    assert speak(http, response_format=kind).headers["content-type"] == media_type


def test_the_default_format_is_mp3(http: httpx2.Client) -> None:
    assert http.post(SPEECH, json={"input": "Hello."}).headers["content-type"] == "audio/mpeg"


def test_the_seed_of_a_speech_is_in_a_header(http: httpx2.Client, triton: FakeTriton) -> None:
    assert speak(http, seed=7).headers["x-bark-seed"] == "7"
    chosen = speak(http).headers["x-bark-seed"]
    assert [int(request["seed"]) for request in triton.requests] == [7, int(chosen)]


@pytest.mark.parametrize("voice", ["me", {"id": "me"}])
def test_a_voice_is_a_name_or_an_object(http: httpx2.Client, triton: FakeTriton, voice: Any) -> None:
    speak(http, voice=voice)
    assert triton.requests[-1]["voice"] == b"me"


def test_another_name_of_a_voice_leads_to_it(serve: Callable[..., Served], triton: FakeTriton) -> None:
    url = serve(voices={"alloy": "me"}).url
    assert httpx2.post(url + SPEECH, json={"input": "Hi.", "voice": "alloy"}).status_code == 200
    assert triton.requests[-1]["voice"] == b"me"
    httpx2.post(url + SPEECH, json={"input": "[voice: alloy] Hi. [pause 0.5s] [voice:joe] Ho."})
    assert triton.requests[-1]["text"] == b"[voice:me] Hi. [pause 0.5s] [voice:joe] Ho."


def test_every_option_of_the_sdk_is_a_field(http: httpx2.Client, triton: FakeTriton) -> None:
    given = {
        "latency": "low", "schedule": "fast", "top_k": 5, "top_p": 0.5, "semantic_temperature": 0.6,
        "coarse_temperature": 0.7, "fine_temperature": 0.8, "min_eos_p": 0.2, "coarse_history": 60, "coarse_window": 60,
        "fine_padding": False, "max_duration": 5.0, "piece_duration": 7.0, "sentence_pause": 0.1,
        "paragraph_pause": 0.2, "split_sentences": True, "chain_sentences": True, "one_speaker": False, "retries": 1,
        "on_failure": "skip", "language": "en", "markdown": False, "fold_signs": False, "spell_numbers": True,
    }  # fmt: skip
    assert speak(http, **given).status_code == 200
    sent = triton.requests[-1]
    assert {name for name in sent if name not in ("text", "seed", "stream")} == set(OPTIONS) - {"return_tokens"}
    assert (sent["speed"], sent["latency"], int(sent["top_k"])) == (b"fast", b"low", 5)
    own = {"input", "model", "voice", "instructions", "response_format", "stream_format", "speed", "seed"}
    assert set(SpeechRequest.model_fields) == own | set(given)


@pytest.mark.parametrize("speed", [0.5, 2.0])
def test_speed_changes_the_length_of_the_audio(http: httpx2.Client, speed: float) -> None:
    plain, changed = (len(speak(http, "One. Two. Three. Four.", speed=one).content) for one in (1.0, speed))
    assert changed == pytest.approx(plain / speed, rel=0.1)


def test_events_carry_the_audio_and_then_what_was_spoken(http: httpx2.Client) -> None:
    answer = speak(http, "Hello. There.", stream_format="sse", seed=3)
    assert answer.headers["content-type"].startswith("text/event-stream")
    *deltas, done = events(answer)
    assert b"".join(base64.b64decode(delta["audio"]) for delta in deltas) == tones(2)
    assert [delta["type"] for delta in deltas] == ["speech.audio.delta"] * 2
    assert [delta["sentence"] for delta in deltas] == [0, 1]
    assert done["type"] == "speech.audio.done"
    assert done["usage"] == {"input_tokens": 13, "output_tokens": 300, "total_tokens": 313}
    assert done["bark"]["seed"] == "3" and done["bark"]["seconds"] == pytest.approx(0.2)
    assert [piece["text"] for piece in done["bark"]["pieces"]] == ["Hello.", "There."]


def test_the_times_of_pieces_are_those_of_the_heard_audio(http: httpx2.Client) -> None:
    *_, done = events(speak(http, "Hello. There.", stream_format="sse", speed=0.5))
    assert [piece["start"] for piece in done["bark"]["pieces"]] == [0.0, 0.2]
    assert done["bark"]["seconds"] == pytest.approx(0.4)


def test_an_error_before_the_audio_is_the_status(http: httpx2.Client, triton: FakeTriton) -> None:
    triton.plan.append(say_error("[INVALID_ARGUMENT] there is no voice 'x'; `bark voice list` shows those."))
    answer = speak(http, voice="x")
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "message": "there is no voice 'x'; `GET /v1/audio/voices` lists those.",
        "type": "invalid_request_error",
        "param": "voice",
        "code": None,
    }


@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [
        (say_error("[INTERNAL] piece 1 is babble."), 500, "server_failed"),
        (say_error("[SPEECH_FAILED] piece 1 ('Hi') failed 3 times."), 422, "speech_failed"),
        (abort(grpc.StatusCode.UNAVAILABLE, after_chunks=0), 503, "server_unavailable"),
        (end_early(), 500, "server_failed"),
        (say_nothing, 422, "no_audio"),
    ],
)
def test_what_the_server_can_not_do_has_a_status(
    http: httpx2.Client, triton: FakeTriton, behaviour: Any, status: int, code: str
) -> None:
    triton.plan.extend([behaviour] * 20)  # the SDK tries again while a server is unavailable
    answer = speak(http)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert triton.url not in answer.text
    assert (answer.headers.get("retry-after") is not None) == (status == 503)


def test_an_error_after_the_first_audio_breaks_the_answer_off(http: httpx2.Client, triton: FakeTriton) -> None:
    triton.plan.append(say_error("[INTERNAL] the stage failed.", after_chunks=1))
    with pytest.raises(httpx2.RemoteProtocolError):
        speak(http)


def test_an_error_after_the_first_audio_is_an_event(http: httpx2.Client, triton: FakeTriton) -> None:
    triton.plan.append(say_error("[INTERNAL] the stage failed.", after_chunks=1))
    *_, last = events(speak(http, stream_format="sse"))
    assert last["error"]["message"] == "the stage failed."


def test_a_seed_may_come_back_as_the_string_that_it_was_in_the_answer(http: httpx2.Client, triton: FakeTriton) -> None:
    """JavaScript's numbers are exact below 2^53 only, and seeds go up to 2^64 - 1."""
    largest = str(2**64 - 1)
    (*_, done) = events(speak(http, stream_format="sse", seed=largest))
    assert done["bark"]["seed"] == largest
    assert speak(http, seed=done["bark"]["seed"]).headers["x-bark-seed"] == largest
    assert [int(request["seed"]) for request in triton.requests] == [2**64 - 1] * 2


@pytest.mark.parametrize("after_chunks", [0, 1])
def test_a_client_that_leaves_cancels_the_work(http: httpx2.Client, triton: FakeTriton, after_chunks: int) -> None:
    triton.plan.append(hang(after_chunks=after_chunks))
    timeout = httpx2.Timeout(20, read=0.5)
    with pytest.raises(httpx2.ReadTimeout):
        http.post(SPEECH, json={"input": "Hello."}, timeout=timeout)
    assert triton.cancelled.acquire(timeout=5)


def test_a_long_text_takes_several_requests(serve: Callable[..., Served], triton: FakeTriton) -> None:
    url = serve(max_characters=50_000).url
    text = "This is one sentence of a long text. " * 600
    answer = httpx2.post(url + SPEECH, json={"input": text, "response_format": "pcm"}, timeout=30)
    assert answer.status_code == 200 and len(triton.requests) > 5
