"""Messages of the server and of the SDK, as a user of HTTP gets them."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from bark_client import ServerUnavailable, protocol, recording, voice_calls
from bark_gateway.errors import from_sdk
from bark_gateway.wording import did_you_mean, field_of, for_http, listed
from tests.bark_gateway.served import Served
from tests.bark_gateway.test_refusals import SPEECH, refused
from tests.bark_gateway.test_voices import VOICES, clip, upload
from tests.client.fake_triton import FakeTriton, say_error

ROOT = Path(__file__).parents[2]
SOURCES = [
    *(path for room in ("voices", "speech", "triton") for path in (ROOT / "bark_serving" / room).rglob("*.py")),
    *(Path(inspect.getfile(module)) for module in (protocol, recording, voice_calls)),
]
RAISED = ("InvalidRequest", "StageFailed", "SpeechFailed")


def messages(path: Path) -> Iterator[str]:
    """The messages of the errors that a module makes, with … for what is put into them."""
    for call in ast.walk(ast.parse(path.read_text())):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in RAISED and call.args:
            parts = call.args[0].values if isinstance(call.args[0], ast.JoinedStr) else [call.args[0]]
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)


def test_no_message_that_the_gateway_passes_on_names_a_command_that_its_user_lacks() -> None:
    told = [for_http(message) for path in SOURCES for message in messages(path)]
    assert len(told) > 50
    assert [one for one in told if ("`bark" in one or "--" in one) and "operator" not in one] == []


@pytest.mark.parametrize(
    ("said", "told", "field"),
    [
        (
            "there is no voice 'x'; `bark voice list` shows those that this server has.",
            "there is no voice 'x'; `GET /v1/audio/voices` lists those that this server has.",
            "voice",
        ),
        ("text: not valid Unicode.", "input: not valid Unicode.", "input"),
        ("text holds nothing to say.", "input holds nothing to say.", "input"),
        ("the text names 40 voices; the limit is 32.", "the text names 40 voices; the limit is 32.", "input"),
        ("'[pause x]' is no pause: write [pause].", "'[pause x]' is no pause: write [pause].", "input"),
        ("top_p 1.5 is out of range: at most 1.", "top_p 1.5 is out of range: at most 1.", "top_p"),
        ("speed fast still pads here.", "schedule fast still pads here.", "schedule"),
        ("a request names a voice or sends its arrays.", "a request names a voice or sends its arrays.", None),
    ],
)  # fmt: skip
def test_a_message_names_the_path_and_the_field_of_http(said: str, told: str, field: str | None) -> None:
    assert (for_http(said), field_of(for_http(said))) == (told, field)


def test_a_voice_that_does_not_exist_is_answered_with_the_path_of_the_list(
    http: httpx2.Client, triton: FakeTriton
) -> None:
    triton.plan.append(
        say_error("[INVALID_ARGUMENT] there is no voice 'x'; `bark voice list` shows those that this server has.")
    )
    error = refused(http.post(SPEECH, json={"input": "Hi.", "voice": "x"}), 400)
    assert error["param"] == "voice" and "`GET /v1/audio/voices` lists" in error["message"]


def test_a_voice_of_openai_is_answered_with_the_option_of_the_operator(http: httpx2.Client, triton: FakeTriton) -> None:
    triton.plan.append(say_error("[INVALID_ARGUMENT] there is no voice 'alloy'; `bark voice list` shows those."))
    told = refused(http.post(SPEECH, json={"input": "Hi.", "voice": "alloy"}), 400)["message"]
    assert told.endswith("The gateway's operator can let it mean another: --voice alloy=NAME.")


def test_a_wrong_name_of_the_operators_is_told_from_one_of_the_request(
    serve: Callable[..., Served], triton: FakeTriton
) -> None:
    url = serve(voices={"alloy": "jeo"}).url
    triton.plan.append(say_error("[INVALID_ARGUMENT] there is no voice 'jeo'; did you mean 'joe'?"))
    told = refused(httpx2.post(url + SPEECH, json={"input": "Hi.", "voice": "alloy"}), 400)["message"]
    assert told.endswith("The gateway's operator started it with --voice alloy=jeo, and must correct that.")


def test_another_name_of_a_voice_leads_to_it_and_can_not_be_taken(serve: Callable[..., Served]) -> None:
    with httpx2.Client(base_url=serve(voices={"alloy": "me"}).url) as http:
        assert http.get(f"{VOICES}/alloy").json()["id"] == "me"
        assert http.get(f"{VOICES}/alloy/preview").status_code == 200
        error = refused(upload(http, clip(), name="alloy"), 400)
    assert error["param"] == "name" and "'alloy' is another name of a voice here" in error["message"]


def test_a_store_that_can_not_be_written_is_told_and_is_no_missing_server() -> None:
    said = "the voice store cannot be changed (No space left on device); its server's --voice-store must be a folder."
    told = from_sdk(ServerUnavailable(said))
    assert (told.status_code, told.code) == (424, "voice_store")
    assert "No space left on device" in told.message and "that its operator names with --voice-store" in told.message


def test_words_that_may_be_meant_are_named() -> None:
    assert did_you_mean("OGG", ["mp3", "opus"]) == " Did you mean opus?"
    assert did_you_mean("ogg", ["start", "text"]) == did_you_mean("", ["mp3"]) == ""
    assert (listed(["a"]), listed(["a", "b", "c"])) == ("a", "a, b or c")
