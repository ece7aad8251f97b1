"""What a client asks for: OpenAI's fields, and the options of `BarkClient.speak` beside them.

The option `speed` of the SDK is called `schedule` here, because OpenAI's `speed` is the pace of the speech.
"""

from __future__ import annotations

import inspect
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self, get_type_hints

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model, model_validator

from bark_client import BarkClient, SpeakOptions, Voice
from bark_gateway.errors import GatewayError, invalid
from bark_gateway.formats import DEFAULT_FORMAT, Format
from bark_gateway.settings import Settings
from bark_gateway.tempo import MAX_SPEED, MIN_SPEED
from bark_gateway.wording import FIELDS, listed

MAX_SEED: Final = 2**64 - 1
_DIGITS: Final = re.compile(r"[0-9]{1,20}")  #: a seed as a string
_LEFT_OUT: Final = {"return_tokens"}  #: no answer of the gateway can hold tokens
_INSTRUCTIONS: Final = (
    "instructions: it must be empty, because Bark follows none. Write sounds into the text ([laughs], [sighs], ♪), or "
    "choose another voice, seed or semantic_temperature."
)


def _explained() -> dict[str, str]:
    """What `help(BarkClient.speak)` says of each option."""
    arguments = (inspect.getdoc(BarkClient.speak) or "").partition("Args:")[2].partition("Raises:")[0]
    entries = re.split(r"\n {4}(?=\w+: )", arguments)
    pairs = (entry.strip().partition(": ")[::2] for entry in entries)
    return {name: " ".join(words.split()) for name, words in pairs}


def _option_fields() -> dict[str, Any]:
    explained = _explained()
    return {
        FIELDS.get(name, name): (hint, Field(None, description=explained.get(name)))
        for name, hint in get_type_hints(SpeakOptions).items()
        if name not in _LEFT_OUT
    }


_STRICT: Final = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
BarkOptions: Final = create_model("BarkOptions", __config__=_STRICT, **_option_fields())
#: Options of the SDK, with their fields.
_FIELDS: Final = {name: FIELDS.get(name, name) for name in get_type_hints(SpeakOptions) if name not in _LEFT_OUT}


class VoiceId(BaseModel):
    """OpenAI's other form of a voice."""

    model_config = _STRICT
    id: str = Field(description="The name of a voice.")


def _number(seed: Any) -> Any:
    """A seed as answers have it, a string of digits, as a number."""
    return int(seed) if isinstance(seed, str) and _DIGITS.fullmatch(seed) else seed


class HowToSpeak(BarkOptions):  # type: ignore[misc, valid-type]
    """How something is spoken, without what is said. Null is as if a field were left out: its default applies."""

    model: str = Field("bark", description="`GET /v1/models` lists the names. All mean the same model.")
    voice: str | VoiceId | None = Field(
        None,
        description="The name of a voice (`GET /v1/audio/voices` lists them). Without it, Bark makes up a speaker.",
    )
    instructions: str | None = Field(
        None,
        description="Must be empty: Bark follows none. Write sounds into `input`, or choose another voice or seed.",
    )
    response_format: Format = Field(DEFAULT_FORMAT, description="The format of the audio.")
    speed: float = Field(
        1.0,
        ge=MIN_SPEED,
        le=MAX_SPEED,
        description="The pace of the speech. The pitch stays. See `schedule` for how it is computed.",
    )
    seed: Annotated[int, BeforeValidator(_number), Field(ge=0, le=MAX_SEED)] | None = Field(
        None,
        description="The same seed and request give the same speech. Default: one is chosen; see x-bark-seed. Also as "
        "a string of digits, as answers have it: the numbers of JavaScript are exact below 2^53 only.",
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if value is not None or name not in cls.model_fields}


class SpeechRequest(HowToSpeak):
    """The body of `POST /v1/audio/speech`. Null is as if a field were left out: its default applies."""

    input: str = Field(description="The text to say.")
    stream_format: Literal["audio", "sse"] = Field(
        "audio", description="audio: the bytes of the file. sse: events with base64, and at the end what was spoken."
    )


@dataclass(frozen=True)
class Call:
    """A request that was checked: what the SDK is asked for, and the form of the answer."""

    text: str
    voice: str | Voice | None
    seed: int
    options: SpeakOptions
    format: Format
    speed: float
    whole: bool = False  #: nothing leaves before the end, so the file can say how long it is

    @classmethod
    def of(cls, how: HowToSpeak, text: str, *, settings: Settings) -> Self:
        """Check what the types can't. Raises GatewayError."""
        given: Mapping[str, Any] = how.model_dump(exclude_none=True)
        check_model(how.model, settings)
        if how.instructions and how.instructions.strip():
            raise invalid(_INSTRUCTIONS, param="instructions", code="unsupported_field")
        check_text(text, settings=settings)
        options = {name: given[field] for name, field in _FIELDS.items() if field in given}
        return cls(
            text=text,
            voice=_voice(how.voice, settings),
            seed=secrets.randbits(32) if how.seed is None else how.seed,
            options=options,  # type: ignore[arg-type]
            format=how.response_format,
            speed=how.speed,
        )


def check_text(text: str, *, settings: Settings) -> None:
    """Raise GatewayError for a text that is empty or too long."""
    if not text.strip():
        raise invalid("input: it is empty; give at least one word to speak.", param="input")
    check_length(text, field="input", settings=settings)


def check_length(text: str, *, field: str, settings: Settings) -> None:
    """Raise GatewayError for a text that is too long."""
    if len(text) > settings.max_characters:
        raise invalid(
            f"{field}: it has {len(text)} characters; at most {settings.max_characters} may come at once. "
            "Split it into several requests.",
            param=field,
            code="string_above_max_length",
        )


def check_model(name: str, settings: Settings) -> None:
    """Raise GatewayError for the name of a model that does not exist."""
    if name not in settings.models:
        wrong = f"there is no {name!r}" if name.strip() else "it is empty"
        told = f"{wrong}; send {listed(settings.models)}, or leave it out."
        if name.strip():
            told += f" The gateway's operator adds names with --model {name}."
        raise GatewayError(404, f"model: {told}", param="model", code="model_not_found")


def _voice(voice: str | VoiceId | None, settings: Settings) -> str | None:
    """The server's name of a voice. A name of the file system is none: the SDK would read the file."""
    name = voice.id if isinstance(voice, VoiceId) else voice
    if name is None:
        return None
    name = settings.voices.get(name, name)
    if not name.strip() or name.lower().endswith(".npz"):
        raise invalid(f"voice: {name!r} is no name of a voice; `GET /v1/audio/voices` lists them.", param="voice")
    return name
