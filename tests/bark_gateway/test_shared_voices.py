"""Voices, where several servers speak: they share one store, and a gateway sees whether they do."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import httpx2
import pytest
from openai import APIStatusError, OpenAI

from tests.bark_gateway.served import Served
from tests.bark_gateway.test_refusals import refused
from tests.bark_gateway.test_voices import VOICES, clip, upload
from tests.client.fake_triton import FakeTriton


@pytest.fixture
def http(serve: Callable[..., Served], triton: FakeTriton, other: FakeTriton) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=serve(triton.url, other.url, shared_voices_s=0.5).url, timeout=20) as client:
        yield client


def test_a_voice_of_the_shared_store_is_on_all_servers(
    http: httpx2.Client, triton: FakeTriton, other: FakeTriton
) -> None:
    other.voices = triton.voices  # one store
    assert upload(http, clip()).status_code == 200
    assert "new" in triton.voices.stored
    assert http.delete(f"{VOICES}/new").status_code == 200
    assert "new" not in triton.voices.stored
    assert http.delete(f"{VOICES}/new").status_code == 404


@pytest.mark.parametrize("overwrite", ["false", "true"])
def test_without_a_shared_store_a_new_voice_is_refused(
    http: httpx2.Client, triton: FakeTriton, other: FakeTriton, overwrite: str
) -> None:
    error = refused(upload(http, clip(), overwrite=overwrite), 424)
    assert error["code"] == "voices_not_shared" and "--voice-store" in error["message"]
    kept = ["new" in server.voices.stored for server in (triton, other)]
    assert any(kept) == (overwrite == "true")


def test_the_package_does_not_send_a_recording_again_that_the_servers_can_not_share(
    serve: Callable[..., Served], triton: FakeTriton, other: FakeTriton
) -> None:
    url = serve(triton.url, other.url, shared_voices_s=0.1).url
    sent: list[httpx2.Request] = []
    with (
        httpx2.Client(event_hooks={"request": [sent.append]}) as http,
        OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=2, http_client=http) as client,
        pytest.raises(APIStatusError, match="do not share their voices"),
    ):
        client.audio.voices.create(name="new", audio_sample=("a.wav", io.BytesIO(clip())), consent="Anna, 2026")
    assert len(sent) == 1


def test_a_voice_is_deleted_on_every_server(http: httpx2.Client, triton: FakeTriton, other: FakeTriton) -> None:
    del other.voices.stored["me"]
    for server in (triton, other):
        server.voices.stored["old"] = server.voices.built_in["v2/de_speaker_1"]
    assert http.delete(f"{VOICES}/old").status_code == http.delete(f"{VOICES}/me").status_code == 200
    assert not {"old", "me"} & ({*triton.voices.stored} | {*other.voices.stored})


def test_another_server_lists_the_voices_when_one_is_gone(
    http: httpx2.Client, triton: FakeTriton, other: FakeTriton
) -> None:
    other.close()
    assert [http.get(VOICES).status_code for _ in range(4)] == [200] * 4
