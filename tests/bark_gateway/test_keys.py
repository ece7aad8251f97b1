"""Who may speak: files of keys, the environment, and what each key allows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bark_gateway.errors import GatewayError
from bark_gateway.keys import Key, KeyRing, KeysUnreadable, hashed, new_key, plain_keys, read_keys
from tests.bark_gateway.served import Served
from tests.bark_gateway.test_refusals import refused
from tests.client.fake_triton import FakeTriton, say_error
from tests.client.fake_voices import Refused

SPEECH = "/v1/audio/speech"
SECRET = "sk-bark-secret"


def key(**more: object) -> Key:
    return Key(name="kitchen", sha256=hashed(SECRET), **more)  # type: ignore[arg-type]


def post(url: str, token: str | None = SECRET, **fields: object) -> httpx2.Response:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return httpx2.post(url + SPEECH, json={"input": "Hello.", **fields}, headers=headers)


@pytest.mark.parametrize("token", [None, "sk-bark-wrong", SECRET + "x", SECRET.upper()])
def test_without_a_known_key_nothing_is_done(
    serve: Callable[..., Served], triton: FakeTriton, token: str | None
) -> None:
    url = serve(keys=[key()]).url
    error = refused(post(url, token), 401)
    assert error["type"] == "authentication_error" and "Authorization: Bearer KEY" in error["message"]
    for method, path in (("GET", "/v1/models"), ("GET", "/v1/audio/voices"), ("DELETE", "/v1/audio/voices/me")):
        refused(httpx2.request(method, url + path), 401)
    assert triton.requests == [] and "me" in triton.voices.stored


def test_a_known_key_may_speak(serve: Callable[..., Served]) -> None:
    url = serve(keys=[Key(name="other", sha256=hashed("x")), key()]).url
    assert post(url).status_code == 200
    assert httpx2.get(f"{url}/health/ready").status_code == 200  # needs none


@pytest.mark.parametrize(
    ("voice", "status"), [("me", 200), ("v2/en_speaker_6", 200), ("v2/de_speaker_1", 403), (None, 403)]
)
def test_a_key_may_be_limited_to_voices(serve: Callable[..., Served], voice: str | None, status: int) -> None:
    url = serve(keys=[key(voices=("me", "v2/en_*"))]).url
    assert post(url, voice=voice).status_code == status


@pytest.mark.parametrize(
    ("tag", "status"),
    [
        ("[voice:me]", 200),
        ("[/voice]", 200),
        ("[voice over the phone]", 200),
        ("\\[voice:v2/de_speaker_1]", 200),  # a bracket after a backslash is no tag
        ("[voice:v2/de_speaker_1]", 403),
        ("[ VOICE = v2/de_speaker_1 ]", 403),
        ("[voice v2/de_speaker_1]", 200),  # a voice has a colon before it
        ("[voice\u00a0: v2/de_speaker_1]", 403),
        ("[vo\ufdd0ice:v2/de_speaker_1]", 403),  # the server leaves this character out
        ("[voice:german]", 403),
    ],
)
def test_a_key_that_is_limited_to_voices_can_name_no_others_in_the_text(
    serve: Callable[..., Served], tag: str, status: int
) -> None:
    url = serve(keys=[key(voices=("me",))], voices={"german": "v2/de_speaker_1"}).url
    assert post(url, voice="me", input=f"Hello. {tag} And hello.").status_code == status


def test_a_key_lists_only_the_voices_that_it_may_use(serve: Callable[..., Served]) -> None:
    url = serve(keys=[key(voices=("me",))]).url
    listed = httpx2.get(f"{url}/v1/audio/voices", headers={"authorization": f"Bearer {SECRET}"}).json()
    assert [voice["id"] for voice in listed["data"]] == ["me"]


UNKNOWN = (
    "there is no voice 'mine/anna'; did you mean 'theirs/anna' or 'me'? `bark voice list` shows those of this server."
)


def test_a_key_is_not_told_the_names_of_voices_that_it_may_not_use(
    serve: Callable[..., Served], triton: FakeTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> str:
        raise Refused(UNKNOWN)

    monkeypatch.setattr(triton.voices, "_resolve", refuse)
    triton.plan.append(say_error(f"[INVALID_ARGUMENT] {UNKNOWN}"))
    url = serve(keys=[key(voices=("me", "mine/*"))], voices={"alloy": "theirs/anna"}).url
    with httpx2.Client(base_url=f"{url}/v1/audio/voices", headers={"authorization": f"Bearer {SECRET}"}) as voices:
        told = [
            refused(post(url, voice="mine/anna"), 400),
            refused(post(url, voice="alloy"), 403),
            refused(post(url, voice="me", input="[voice:alloy] Hi."), 403),
            refused(voices.get("/mine/anna"), 404),
            refused(voices.get("/alloy"), 403),
            refused(voices.get("/alloy/preview"), 403),
        ]
    assert told[0]["message"] == "there is no voice 'mine/anna'; `GET /v1/audio/voices` lists those of this server."
    assert not any("theirs" in error["message"] for error in told)


def test_a_key_may_be_kept_from_changing_voices(serve: Callable[..., Served], triton: FakeTriton) -> None:
    url = serve(keys=[key(change_voices=False)]).url
    answer = httpx2.delete(f"{url}/v1/audio/voices/me", headers={"authorization": f"Bearer {SECRET}"})
    assert answer.status_code == 403 and "me" in triton.voices.stored


def test_a_name_with_quotes_makes_a_valid_entry(tmp_path: Path) -> None:
    (tmp_path / "keys.toml").write_text(new_key('the "small" one')[1])
    assert read_keys(tmp_path / "keys.toml")[0].name == 'the "small" one'


def test_a_new_key_fits_its_entry(tmp_path: Path) -> None:
    token, entry = new_key("kitchen")
    (tmp_path / "keys.toml").write_text(entry + "characters_per_minute = 600\n")
    (found,) = read_keys(tmp_path / "keys.toml")
    assert KeyRing([found]).find(token) == found
    assert (found.name, found.characters_per_minute) == ("kitchen", 600)
    assert token not in entry


def test_the_environment_may_hold_several_keys() -> None:
    ring = KeyRing(plain_keys("one, two three"))
    assert [ring.find(token).name for token in ("one", "two", "three")] == [f"environment-{n}" for n in (1, 2, 3)]


ENTRY = f'[[key]]\nname = "x"\nsha256 = "{"0" * 64}"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[key]", "not valid TOML"),
        ("", "no [[key]]"),
        ('[[keys]]\nname = "x"', "it holds 'keys'. Each key is an entry that begins with [[key]]"),
        ('[key]\nname = "x"', "must begin with [[key]], in two brackets"),
        ('[[key]]\nname = "x"', "key x: sha256 is missing. `bark-gateway --new-key NAME` prints an entry."),
        ('[[key]]\nname = "x"\nsha256 = "short"', "key x: sha256 must be 64 digits, each 0-9 or a-f"),
        (f'[[key]]\nsha256 = "{"0" * 64}"', "key number 1: name is missing"),
        (
            f"{ENTRY}{ENTRY}voice = ['joe']",
            "key x: there is no field 'voice'. Did you mean voices? The fields are name, ",
        ),
        (
            f"{ENTRY}requests_in_flight = 0",
            "key x: requests_in_flight is 0. Input should be greater than or equal to 1.",
        ),
        (f"{ENTRY}voices = 'joe'", "key x: voices is 'joe'. Input should be a valid list."),
    ],
)
def test_a_wrong_file_of_keys_is_refused_with_the_place(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "keys.toml").write_text(text)
    with pytest.raises(KeysUnreadable) as refusal:
        read_keys(tmp_path / "keys.toml")
    assert words in str(refusal.value) and "keys.toml" in str(refusal.value)


def test_a_file_of_keys_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeysUnreadable, match="nowhere"):
        read_keys(tmp_path / "nowhere")


@given(st.text())
def test_any_other_text_is_no_key(token: str) -> None:
    with pytest.raises(GatewayError):
        KeyRing([key()]).find("" if token == SECRET else token)
