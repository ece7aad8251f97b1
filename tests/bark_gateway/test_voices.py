"""`/v1/audio/voices`: list, clone, hear, delete."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import grpc
import httpx2
import numpy as np
import pytest
import soundfile
from openai import BadRequestError, OpenAI

from bark_gateway import voice_names
from tests.bark_gateway.decoded import RATE, decode, tone
from tests.bark_gateway.served import Served
from tests.bark_gateway.test_encoding import encoded
from tests.bark_gateway.test_refusals import refused
from tests.bark_gateway.test_servers import wait_until
from tests.client.fake_triton import FakeTriton

VOICES = "/v1/audio/voices"


def clip(seconds: float = 3.0) -> bytes:
    return encoded(tone(seconds), "flac")


def test_a_voice_of_a_prompt_is_refused_with_what_to_send(openai: OpenAI) -> None:
    with pytest.raises(BadRequestError, match="can't be made from a prompt here; send audio_sample") as refusal:
        openai.audio.voices.create(name="old", type="prompt", prompt="An old man.")
    assert refusal.value.param == "type"


def upload(http: httpx2.Client, data: bytes, **fields: Any) -> httpx2.Response:
    return http.post(VOICES, data={"name": "new", **fields}, files={"audio_sample": ("clip.flac", data)})


def test_a_name_of_no_voice_is_not_listed_and_the_gateway_warns_once(
    serve: Callable[..., Served],
    triton: FakeTriton,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(voice_names, "AGAIN_S", 0.01)
    triton.ready = False
    gateway = serve(voices={"alloy": "me", "nova": "mee"})
    triton.ready = True
    wait_until(lambda: "--voice nova=mee" in caplog.text)
    names = [one["id"] for one in httpx2.get(gateway.url + VOICES).json()["voices"]]
    assert "alloy" in names and "nova" not in names
    assert "--voice nova=mee: there is no voice 'mee' yet. Did you mean me?" in caplog.text
    time.sleep(0.3)  # many intervals
    assert caplog.text.count("there is no voice") == 1


def test_a_server_whose_list_of_voices_fails_is_asked_once_and_does_not_rest(
    serve: Callable[..., Served], triton: FakeTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice_names, "AGAIN_S", 0.01)
    triton.unary_plan.extend([grpc.StatusCode.INTERNAL] * 100)
    before = triton.unary_calls
    (server,) = serve(voices={"nova": "mee"}).gateway.servers.all
    wait_until(lambda: triton.unary_calls > before)
    time.sleep(0.3)
    assert (server.failures, server.rests_until) == (0, 0.0)
    assert triton.unary_calls == before + 1


def test_the_list_names_every_voice(http: httpx2.Client) -> None:
    listed = http.get(VOICES).json()
    assert [voice["id"] for voice in listed["data"]] == ["me", "v2/de_speaker_1", "v2/en_speaker_6"]
    assert [voice["id"] for voice in listed["voices"]] == ["me", "v2/de_speaker_1", "v2/en_speaker_6"]
    assert [voice["stored"] for voice in listed["data"]] == [True, False, False]


def test_an_upload_becomes_a_voice(http: httpx2.Client, triton: FakeTriton) -> None:
    voice = upload(http, clip()).json()
    assert (voice["id"], voice["object"], voice["type"]) == ("new", "audio.voice", "audio_sample")
    assert voice["warnings"] == triton.voices.warnings
    assert "new" in triton.voices.stored


@pytest.mark.parametrize("kind", ["mp3", "opus", "aac", "wav"])
def test_a_recording_may_have_any_usual_format(http: httpx2.Client, kind: str) -> None:
    assert upload(http, encoded(tone(3.0), kind)).status_code == 200


@pytest.mark.parametrize(
    ("data", "fields", "words"),
    [
        (b"no sound", {}, "not a sound file"),
        (b"", {}, "not a sound file"),
        (clip(0.5), {}, "1 to 30 s"),
        (clip(31), {}, "1 to 30 s"),
        (clip(), {"name": "a b"}, "no voice name"),
        (clip(), {"name": "me"}, "already"),
        (clip(), {"name": "v2/en_speaker_6", "overwrite": "true"}, "comes with the server"),
        (clip(), {"color": "blue"}, "no such field. Send name, audio_sample, consent, type, overwrite"),
        (clip(), {"type": "prompt"}, "audio_sample"),
        (clip(), {"overwrite": "perhaps"}, "boolean"),
    ],
)
def test_a_wrong_upload_is_refused_in_words(
    http: httpx2.Client, data: bytes, fields: dict[str, Any], words: str
) -> None:
    assert words in refused(upload(http, data, **fields), 400)["message"]


def test_the_refusal_of_a_name_that_is_taken_says_which_field_replaces_the_voice(http: httpx2.Client) -> None:
    error = refused(upload(http, clip(), name="me"), 400)
    assert error["param"] == "name" and "send overwrite=true, which replaces that voice" in error["message"]


def test_the_refusal_of_a_recording_names_its_field(http: httpx2.Client) -> None:
    answer = http.post(VOICES, data={"name": "new"}, files={"audio_sample": ("recording", clip(31))})
    error = refused(answer, 400)
    assert error["param"] == "audio_sample" and error["message"].endswith("send a part of it.")


def test_a_recording_far_above_full_scale_is_refused_with_its_name_and_how_to_mend_it(http: httpx2.Client) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.full(48_000, 86.9, np.float32), 24_000, format="WAV", subtype="FLOAT")
    error = refused(http.post(VOICES, data={"name": "new"}, files={"audio_sample": ("loud.wav", file.getvalue())}), 400)
    assert error["param"] == "audio_sample"
    assert error["message"].startswith("loud.wav: a peak of 86.9;")
    assert "ffmpeg -i loud.wav -af volume=1/87 quieter.wav" in error["message"]


def test_an_upload_without_a_file_is_refused(http: httpx2.Client) -> None:
    assert "audio_sample" in refused(http.post(VOICES, files={"name": (None, "x")}), 400)["message"]


def test_an_upload_may_replace_a_voice_where_it_says_so(http: httpx2.Client) -> None:
    assert upload(http, clip(), name="me", overwrite="true").status_code == 200


def test_an_upload_that_is_too_large_is_413(http: httpx2.Client) -> None:
    error = refused(upload(http, b"\0" * (26 << 20)), 413)
    assert "Send a recording of at most 25 MiB." in error["message"]


def test_a_voice_can_be_heard(http: httpx2.Client) -> None:
    preview = http.get(f"{VOICES}/me/preview")
    assert preview.headers["content-type"] == "audio/wav"
    assert decode(preview.content, format="wav").size == 2 * RATE
    assert np.abs(decode(preview.content, format="wav")).max() > 0.1


@pytest.mark.parametrize("name", ["v2/en_speaker_6", "v2%2Fen_speaker_6"])
def test_a_voice_whose_name_has_a_slash_has_a_path(http: httpx2.Client, name: str) -> None:
    assert http.get(f"{VOICES}/{name}").json()["id"] == "v2/en_speaker_6"


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("GET", "/preview"), ("DELETE", "")])
def test_a_voice_that_does_not_exist_is_404(http: httpx2.Client, method: str, path: str) -> None:
    assert "no voice 'nobody'" in refused(http.request(method, f"{VOICES}/nobody{path}"), 404)["message"]


def test_a_voice_of_the_checkpoint_stays(http: httpx2.Client) -> None:
    assert "comes with the server" in refused(http.delete(f"{VOICES}/v2/en_speaker_6"), 400)["message"]


def test_the_openai_package_clones_and_deletes(openai: OpenAI, triton: FakeTriton) -> None:
    made = openai.audio.voices.create(name="anna", audio_sample=("anna.flac", io.BytesIO(clip())), consent="Anna, 2026")
    assert (made.id, made.name, "anna" in triton.voices.stored) == ("anna", "anna", True)
    assert openai.audio.voices.delete("anna").deleted
    assert "anna" not in triton.voices.stored
