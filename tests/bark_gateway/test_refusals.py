"""Bad input of every path is a 4xx in words, in OpenAI's form."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx2
import pytest

SPEECH = "/v1/audio/speech"
JSON, FORM = "application/json", "multipart/form-data"
SEND_JSON = f"this path takes {JSON}. Send a JSON object, with -H 'content-type: {JSON}' if you use curl."
SEND_FORM = f"this path takes {FORM}. Send a form, as `curl -F name=NAME -F audio_sample=@FILE` does."


def refused(answer: httpx2.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"][-1] in ".?" and answer.headers["x-request-id"]
    return dict(error)


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({}, "input", "missing"),
        ({"input": ""}, "input", "empty"),
        ({"input": " \n"}, "input", "empty"),
        ({"input": 7}, "input", "string"),
        ({"input": None}, "input", "missing"),
        ({"input": "x", "colour": None}, "colour", "no such field"),
        ({"input": "x" * 20_001}, "input", "at most 20000"),
        ({"input": "\ud800"}, "input", "Unicode"),
        ({"input": "x", "speed": 0.2}, "speed", "0.25"),
        ({"input": "x", "speed": 4.1}, "speed", "4"),
        ({"input": "x", "speed": "fast"}, "speed", "number"),
        ({"input": "x", "response_format": "ogg"}, "response_format", "no 'ogg'. Did you mean opus? Send mp3, opus,"),
        ({"input": "x", "response_format": "MP3"}, "response_format", "Did you mean mp3?"),
        ({"input": "x", "response_format": "mpeg"}, "response_format", "Did you mean mp3?"),
        ({"input": "x", "response_format": "ogg_opus"}, "response_format", "Did you mean opus?"),
        ({"input": "x", "response_format": "m4a"}, "response_format", "Did you mean aac?"),
        ({"input": "x", "response_format": "falc"}, "response_format", "Did you mean flac?"),
        ({"input": "x", "response_format": 3}, "response_format", "it must be a word. Send mp3"),
        ({"input": "x", "response_format": "q" * 1_000}, "response_format", f"no '{'q' * 40}'. Send mp3"),
        ({"input": "x", "stream_format": "tar"}, "stream_format", "no 'tar'. Send audio or sse."),
        ({"input": "x", "stream_format": "text/event-stream"}, "stream_format", "Did you mean sse?"),
        ({"input": "x", "instructions": "Sound happy."}, "instructions", "must be empty, because Bark follows none"),
        ({"input": "x", "voice": ""}, "voice", "no name of a voice"),
        ({"input": "x", "voice": "/etc/passwd.npz"}, "voice", "no name of a voice"),
        ({"input": "x", "voice": {}}, "voice.id", "voice.id: it is missing"),
        ({"input": "x", "voice": {"id": None}}, "voice.id", "valid string"),
        ({"input": "x", "voice": []}, "voice", "voice: Input should be a valid string"),
        ({"input": "x", "voice": {"name": "joe"}}, "voice.name", "no such field"),
        ({"input": "x", "voice": 7}, "voice", "voice: Input should be a valid string"),
        ({"input": "x", "seed": -1}, "seed", "greater than or equal to 0"),
        ({"input": "x", "seed": 2**64}, "seed", "at most 18446744073709551615."),
        ({"input": "x", "seed": 1.5}, "seed", "integer"),
        ({"input": "x", "seed": "99999999999999999999"}, "seed", "at most 18446744073709551615."),
        ({"input": "x", "seed": "-1"}, "seed", "integer"),
        ({"input": "x", "seed": "seven"}, "seed", "integer"),
        ({"input": "x", "top_k": 2**40}, "top_k", "outside"),
        ({"input": "x", "schedule": "quick"}, "schedule", "Send exact or fast."),
        ({"input": "x", "latency": "lwo"}, "latency", "Did you mean low?"),
        ({"input": "x", "on_failure": "errors"}, "on_failure", "Did you mean error?"),
        ({"input": "x", "langauge": "en"}, "langauge", "Did you mean language?"),
        ({"inptu": "x"}, "inptu", "Did you mean input?"),
        ({"input": "x", "body": 1}, "body", "no such field"),
        ({"input": "x", "str": 1}, "str", "no such field"),
        ({"input": "x", "voice": {"id": "me", "str": 1}}, "voice.str", "no such field"),
        ({"input": "x", "top_p": 1e39}, "top_p", "expected a number from -3.4e+38 to 3.4e+38"),
        ({"input": "x", "return_tokens": True}, "return_tokens", "no such field"),
    ],
)
def test_a_wrong_field_is_named(http: httpx2.Client, fields: dict[str, Any], param: str, words: str) -> None:
    answer = http.post(SPEECH, content=json.dumps(fields), headers={"content-type": "application/json"})
    error = refused(answer, 400)
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert words in error["message"]


def test_an_unknown_model_is_404(http: httpx2.Client) -> None:
    error = refused(http.post(SPEECH, json={"input": "x", "model": "gpt"}), 404)
    assert error["code"] == "model_not_found" and "send bark, tts-1 or tts-1-hd, or leave it out" in error["message"]
    assert "The gateway's operator adds names with --model gpt" in error["message"]


def test_an_empty_model_is_called_empty(http: httpx2.Client) -> None:
    error = refused(http.post(SPEECH, json={"input": "x", "model": ""}), 404)
    assert error["message"] == "model: it is empty; send bark, tts-1 or tts-1-hd, or leave it out."


def test_empty_instructions_ask_for_nothing(http: httpx2.Client) -> None:
    assert http.post(SPEECH, json={"input": "x", "instructions": ""}).status_code == 200


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"input": NaN}', b"[1]", b"7", b""])
def test_a_body_that_is_no_request_is_refused(http: httpx2.Client, body: bytes) -> None:
    refused(http.post(SPEECH, content=body, headers={"content-type": "application/json"}), 400)


@pytest.mark.parametrize("path", [SPEECH, "/v1/audio/speech/batch"])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"input": "Grüße"}'.encode("latin-1"), "Send JSON in UTF-8, and not compressed."),
        (gzip.compress(b'{"input": "x"}'), "Send JSON in UTF-8, and not compressed."),
        (b"[" * 100_000, "JSON: it is nested too deep."),
        (b'{"seed": ' + b"9" * 6_000 + b"}", "JSON: it has too long a number."),
    ],
    ids=["Latin-1", "gzip", "nested", "a long number"],
)
def test_a_body_that_can_not_be_read_says_what_to_send(http: httpx2.Client, path: str, body: bytes, words: str) -> None:
    error = refused(http.post(path, content=body, headers={"content-type": "application/json"}), 400)
    assert words in error["message"] and error["code"] == "invalid_json"


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=x"])
def test_a_form_that_can_not_be_read_says_what_to_send(http: httpx2.Client, kind: str) -> None:
    body = gzip.compress(b"--x--")
    error = refused(http.post("/v1/audio/voices", content=body, headers={"content-type": kind}), 400)
    assert "Send multipart/form-data" in error["message"] and error["code"] == "invalid_form"


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"name": "x" * (2 << 20)}, "exceeded"), ({f"field{number}": "x" for number in range(1_100)}, "Too many fields")],
    ids=["a long field", "many fields"],
)
def test_a_form_that_can_be_read_is_not_told_to_be_one(http: httpx2.Client, fields: dict[str, str], words: str) -> None:
    answer = http.post("/v1/audio/voices", data=fields, files={"audio_sample": b"x"})
    error = refused(answer, 400)
    assert words in error["message"] and "Send multipart" not in error["message"]


@pytest.mark.parametrize(
    ("path", "other", "told"),
    [(SPEECH, FORM, SEND_JSON), (f"{SPEECH}/batch", FORM, SEND_JSON), ("/v1/audio/voices", JSON, SEND_FORM)],
)
def test_a_body_of_another_type_is_told_the_right_one(http: httpx2.Client, path: str, other: str, told: str) -> None:
    for sent in (other, "", "json", "text/plain", "application/x-www-form-urlencoded"):
        answer = http.post(path, content=b"{}", headers={"content-type": f"{sent}; charset=utf-8"})
        error = refused(answer, 400)
        assert error["message"] == f"The content-type is {sent or 'missing'}; {told}"
        assert error["code"] == "unsupported_content_type"


def test_a_request_without_a_body_is_told_the_type_of_one(http: httpx2.Client) -> None:
    assert SEND_JSON in refused(http.post(SPEECH), 400)["message"]
    assert SEND_FORM in refused(http.post("/v1/audio/voices"), 400)["message"]


@pytest.mark.parametrize("kind", ["Application/JSON ; charset=utf-8", "application/ld+json"])
def test_json_has_more_than_one_type(http: httpx2.Client, kind: str) -> None:
    assert http.post(SPEECH, content=b'{"input": "x"}', headers={"content-type": kind}).status_code == 200


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_large_is_413(http: httpx2.Client, declared: bool) -> None:
    body = b'{"input": "' + b"x" * (1 << 20) + b'"}'
    content = body if declared else iter([body[: 1 << 19], body[1 << 19 :]])
    error = refused(http.post(SPEECH, content=content, headers={"content-type": "application/json"}), 413)
    assert error["code"] == "request_too_large"
    assert "Send a text of at most 20000 characters." in error["message"] and "--max-characters" in error["message"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nope", 404), ("GET", SPEECH, 405)])
def test_a_wrong_path_or_method_says_so(http: httpx2.Client, method: str, path: str, status: int) -> None:
    refused(http.request(method, path), status)


@pytest.mark.parametrize(("path", "allowed"), [("/v1/models", "GET, HEAD"), ("/", "GET, HEAD"), (SPEECH, "POST")])
def test_a_wrong_method_is_told_which_are_right(http: httpx2.Client, path: str, allowed: str) -> None:
    answer = http.put(path)
    refused(answer, 405)
    assert answer.headers["allow"] == allowed


def test_a_wrong_model_in_the_path_is_404(http: httpx2.Client) -> None:
    refused(http.get("/v1/models/gpt"), 404)
    assert http.get("/v1/models/bark").json()["id"] == "bark"
