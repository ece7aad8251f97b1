"""Errors of the gateway, in the form that OpenAI's clients know, and what each error of the SDK becomes.

OpenAI's envelope: https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from bark_client import BarkError, InvalidRequest, RequestCancelled, RequestTimeout, ServerUnavailable, SpeechFailed
from bark_gateway.wording import did_you_mean, field_of, for_http, listed

#: The status where the model failed on a text. It is below 500, because OpenAI's clients send a request again by
#: themselves after a status from 500 on, and the same text with the same seed fails again.
UNSPEAKABLE: Final = 422
#: The status where only the operator can mend it, such as servers that share no voices. It is below 500 for the same
#: reason: a recording would be cloned three times for the same refusal. It is not 400, as the request is right.
SET_UP_WRONGLY: Final = 424
RETRY_AFTER_S: Final = 1  #: what a client is told to wait while no server answers
_KINDS: Final = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}
VOICE_STORE: Final = "the voice store "  #: begins what a server says that can't write voices
_NO_JSON: Final = "There was an error parsing the body"  #: what FastAPI says of all but wrong signs
_NO_FORM: Final = ("Missing boundary", "Invalid multipart")  #: begins what Starlette says of a body that is no form
_NO_FIELDS: Final = ("body", "query", "path", "str", "VoiceId")  #: in pydantic's place of an error: parts and types
_QUOTED: Final = re.compile("'([^']*)'")
_ADDRESS: Final = re.compile(r" at (\[[0-9a-f:.]+\]|[\w.-]+):\d+")


class GatewayError(HTTPException):
    """An answer with a status of 400 or more. `message` says what is wrong, and what to do about it.

    param: the field of the request that is wrong. code: a short name for programs. retry_after: seconds.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        told = {} if retry_after is None else {"retry-after": str(retry_after)}
        super().__init__(status, detail=message, headers={**told, **(headers or {})})
        self.message, self.param, self.code = message, param, code

    def envelope(self) -> dict[str, Any]:
        """OpenAI's form of an error."""
        kind = _KINDS.get(self.status_code, "server_error" if self.status_code >= 500 else "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> Response:
        """The whole answer."""
        return Json(self.envelope(), status_code=self.status_code, headers=self.headers)


class Json(Response):
    """JSON in ASCII. Texts of clients may hold half of a surrogate pair, which UTF-8 can't express."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, separators=(",", ":")).encode("ascii")


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> GatewayError:
    """The request is wrong: 400."""
    return GatewayError(400, message, param=param, code=code)


def left() -> GatewayError:
    """The error of a client that has left. Only the log shows it."""
    return GatewayError(499, "The client has left.", code="left")


def from_sdk(error: BarkError) -> GatewayError:
    """What a client is told of an error of the SDK. It names no address of a server."""
    if isinstance(error, InvalidRequest):
        return _from_invalid(str(error))
    if isinstance(error, ServerUnavailable) and str(error).startswith(VOICE_STORE):
        return GatewayError(SET_UP_WRONGLY, for_http(str(error)), code="voice_store")
    if isinstance(error, ServerUnavailable | RequestCancelled):
        return GatewayError(
            503,
            "No speech server can take the request now. Send the same request again in a moment.",
            code="server_unavailable",
            retry_after=RETRY_AFTER_S,
        )
    if isinstance(error, RequestTimeout):
        return GatewayError(504, "The speech server did not answer in time. Send less text.", code="timeout")
    if isinstance(error, SpeechFailed):
        return GatewayError(UNSPEAKABLE, for_http(str(error)), code="speech_failed")
    return GatewayError(500, _ADDRESS.sub("", str(error)), code="server_failed")


def as_answer(error: BarkError | GatewayError) -> GatewayError:
    """What a client is told of an error, wherever it comes from."""
    return error if isinstance(error, GatewayError) else from_sdk(error)


def from_http(error: HTTPException) -> GatewayError:
    """An error of the framework: no such path, no such method, a body that can't be read."""
    if isinstance(error, GatewayError):
        return error
    if error.status_code == 400:
        return _unreadable(error)
    words = {
        404: "There is no such path. `/openapi.json` lists those that exist.",
        405: "This path does not take this method. `/openapi.json` lists those that it takes.",
    }
    headers = dict(error.headers or {})
    if headers.get("Allow") == "GET":
        headers["Allow"] = "GET, HEAD"  # by `HeadAsGet`
    return GatewayError(error.status_code, words.get(error.status_code, str(error.detail)), headers=headers)


def _unreadable(error: HTTPException) -> GatewayError:
    """A body that is neither JSON nor a form. FastAPI's own words for JSON say nothing; its cause says what it is."""
    cause = error.__cause__
    if isinstance(cause, ClientDisconnect):
        return left()
    if error.detail != _NO_JSON:
        advice = " Send multipart/form-data, as `curl -F` does, not compressed."
        return invalid(f"{error.detail}{advice if error.detail.startswith(_NO_FORM) else ''}", code="invalid_form")
    if isinstance(cause, UnicodeDecodeError):
        return invalid("The body is not in UTF-8. Send JSON in UTF-8, and not compressed.", code="invalid_json")
    if isinstance(cause, RecursionError):
        return invalid("The body can't be read as JSON: it is nested too deep.", code="invalid_json")
    if isinstance(cause, ValueError):
        return invalid("The body can't be read as JSON: it has too long a number.", code="invalid_json")
    return invalid("The body can't be read.", code="invalid_body")


def from_validation(errors: Sequence[Mapping[str, Any]], *, model: type[BaseModel]) -> GatewayError:
    """The first of pydantic's errors, in words.

    model: what was asked for. If it has items, its `item` is the model of each.
    """
    first = min(errors, key=_rank)
    kind, message = str(first["type"]), str(first["msg"])
    *above, last = first["loc"] or ("body",)
    place = [part for part in above if part not in _NO_FIELDS]
    if kind == "extra_forbidden" or last not in _NO_FIELDS:  # a client may call a field `body`
        place.append(last)
    name = ".".join(map(str, place))
    if kind == "json_invalid":
        why = first.get("ctx", {}).get("error", "")
        return invalid(f"The body is not valid JSON ({why} at character {first['loc'][-1]}).", code="invalid_json")
    if kind == "extra_forbidden":
        of_items = getattr(model, "item", BaseModel).model_fields
        hint = " Give it to each of the items." if last in of_items else did_you_mean(str(last), model.model_fields)
        return invalid(f"{name}: there is no such field.{hint}", param=name, code="unknown_field")
    if not name:
        return invalid("The body must be a JSON object.", code="invalid_body")
    if kind == "missing":
        return invalid(f"{name}: it is missing.", param=name, code="missing_field")
    if kind == "literal_error":
        known = _QUOTED.findall(first["ctx"]["expected"])
        return wrong_choice(name, first["input"], known)
    if kind == "less_than_equal" and isinstance(most := first["ctx"]["le"], int):  # pydantic rounds it
        return invalid(f"{name}: it must be at most {most}.", param=name)
    return invalid(f"{name}: {message.removeprefix('Value error, ')}.", param=name)


def _rank(error: Mapping[str, Any]) -> int:
    """Which error is told: a misspelt name is also a missing one, and an object is no string."""
    if error["type"] == "string_type" and isinstance(error["input"], dict):
        return 3
    return {"extra_forbidden": 0, "missing": 2}.get(error["type"], 1)


def wrong_choice(name: str, asked: object, known: Sequence[str]) -> GatewayError:
    """The error of a field that must be one of some words. It names the one that may be meant."""
    if not isinstance(asked, str):
        return invalid(f"{name}: it must be a word. Send {listed(known)}.", param=name)
    return invalid(f"{name}: there is no {asked[:40]!r}.{did_you_mean(asked, known)} Send {listed(known)}.", param=name)


def _from_invalid(message: str) -> GatewayError:
    message = message if message.endswith((".", "?", "!")) else f"{message}."
    told = for_http(message)
    return invalid(told, param=field_of(told))
