"""What the limits of texts and recordings allow has room in a body, however it is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from bark_gateway.settings import Settings
from tests.bark_gateway.served import Served
from tests.bark_gateway.test_batch import BATCH
from tests.bark_gateway.test_refusals import refused
from tests.bark_gateway.test_socket import connected, heard, say
from tests.bark_gateway.test_speech import SPEECH
from tests.bark_gateway.test_voices import VOICES
from tests.client.fake_triton import FakeTriton

MORE = 100_000  #: characters; in JSON they have more than 1 MiB
LARGEST = "🙂"  #: twelve bytes as JSON's \\uXXXX
JSON = {"content-type": "application/json"}


def long_text(characters: int) -> str:
    """It ends in a word, because a text of smileys alone is refused elsewhere."""
    return LARGEST * (characters - 6) + " Word."


def test_a_batch_may_have_as_many_and_as_long_texts_as_is_documented(http: httpx2.Client) -> None:
    settings = Settings()
    items = [{"input": long_text(settings.max_characters), "response_format": "pcm"}] * settings.max_items
    answer = http.post(BATCH, content=json.dumps({"items": items}), headers=JSON)
    assert answer.status_code == 200, answer.text
    assert [one["error"] for one in answer.json()["data"]] == [None] * settings.max_items


def test_a_text_may_be_as_long_as_the_operator_allows(serve: Callable[..., Served]) -> None:
    url = serve(max_characters=MORE).url
    answer = httpx2.post(url + SPEECH, content=json.dumps({"input": long_text(MORE)}), headers=JSON, timeout=30)
    assert answer.status_code == 200, answer.text


def test_a_message_of_a_websocket_may_be_as_long_as_the_operator_allows(serve: Callable[..., Served]) -> None:
    with connected(serve(max_characters=MORE)) as socket:
        say(socket, "text", text=long_text(MORE))
        say(socket, "cancel")
        assert heard(socket, until="cancelled")


@pytest.mark.parametrize(
    ("path", "fields", "words"),
    [
        (SPEECH, {"input": "x" * (2 << 20)}, "Send a text of at most 1000 characters."),
        (BATCH, {"items": [{"input": "x" * (2 << 20)}]}, "Send at most 32 texts of at most 1000 characters each."),
    ],
)
def test_a_body_that_is_too_large_is_told_what_may_be_sent(
    serve: Callable[..., Served], path: str, fields: dict[str, Any], words: str
) -> None:
    message = refused(httpx2.post(serve(max_characters=1_000).url + path, json=fields), 413)["message"]
    assert words in message and message.endswith("can allow longer ones with --max-characters.")


def test_a_recording_of_the_largest_size_has_room_beside_the_other_fields(
    serve: Callable[..., Served], triton: FakeTriton
) -> None:
    url = serve(max_upload_bytes=1 << 20).url
    fields = {"name": "me", "consent": "Me, by mail"}
    largest, larger = (httpx2.post(url + VOICES, data=fields, files={"audio_sample": bytes(size)})
                       for size in (1 << 20, 2 << 20))  # fmt: skip
    assert largest.status_code == 400  # it is no recording
    message = refused(larger, 413)["message"]
    assert "Send a recording of at most 1 MiB. The gateway's operator can allow more with --max-upload-mb." in message
