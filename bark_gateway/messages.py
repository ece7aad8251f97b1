"""What the two ends of a WebSocket say to each other, but for the audio, which is binary."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bark_gateway.errors import from_validation, invalid, wrong_choice
from bark_gateway.requests import HowToSpeak


class Start(HowToSpeak):
    """How everything is spoken that follows. Without it, the defaults hold."""

    type: Literal["start"]


class Text(BaseModel):
    """Some more of the text. It may end anywhere."""

    model_config = ConfigDict(extra="forbid", strict=True)
    type: Literal["text"]
    text: str


class Order(BaseModel):
    """flush: speak what is there, without waiting for the end of a sentence. cancel: forget all that is not yet spoken.

    end: speak the rest, then close.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    type: Literal["flush", "cancel", "end"]


Told: TypeAlias = dict[str, Any]  #: a message to the client: its type, and what goes with it
Message: TypeAlias = Start | Text | Order
_TYPES: Final = ("start", "text", "flush", "cancel", "end")
_MESSAGE: Final[TypeAdapter[Message]] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


def may_be_start(data: str | bytes) -> bool:
    """Whether a message that was refused was meant as `start`."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        text = data if isinstance(data, str) else data.decode(errors="replace")
        return "start" in text.casefold()
    return isinstance(values, dict) and str(values.get("type")).casefold() == "start"


def parse(data: str | bytes) -> Message:
    """The message in a frame. Raises GatewayError."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):  # ValueError: also of a number of thousands of digits
        raise invalid("A message must be a JSON object.", code="invalid_json") from None
    try:
        return _MESSAGE.validate_python(values)
    except ValidationError as error:
        found: list[Any] = [dict(one) for one in error.errors()]
        if found[0]["type"] in ("union_tag_invalid", "union_tag_not_found", "model_attributes_type"):
            asked = found[0].get("ctx", {}).get("tag")
            raise wrong_choice("type", asked, _TYPES) from None
        for one in found:
            one["loc"] = one["loc"][1:]  # without the tag
        raise from_validation(found, model=Start) from None


def told(kind: str, **fields: Any) -> Told:
    """A message to the client."""
    return {"type": kind, **fields}


def written(message: Told) -> str:
    """A message as JSON. ASCII, because a text may hold half of a surrogate pair."""
    return json.dumps(message, separators=(",", ":"))
