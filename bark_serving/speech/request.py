"""What a client asks for, checked against the limits of the checkpoint and of the server before any stage runs."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bark_serving.arrays import Array
from bark_serving.errors import InvalidRequest
from bark_serving.spec import Spec
from bark_serving.speech.stage_capabilities import BuiltIn, StageCapabilities
from bark_serving.speech.text.language import parse_tag
from bark_serving.speech.text.planning import SAFE_SHARE
from bark_serving.speech.text.spans import MAX_PAUSE_S

#: What Triton's protocol may put beside the inputs of any request.
#: "id" is the id of a request, which HTTP's ``generate`` passes on as a parameter too.
_TRITON_PARAMETERS = frozenset(
    {"id", "priority", "timeout", "binary_data_output", "headers", "traceparent", "tracestate"}
)
_TRITON_PREFIXES = ("triton_", "sequence_", "authorization")

CHECK_ID = "bark-check"  #: the request id by which a client says that it only checks whether the server speaks
MAX_TEXT_CHARACTERS = 20_000  #: about 25 minutes of speech
MAX_RETRIES = 2


@dataclass(frozen=True)
class Wire:
    """The tensor of a field whose Python type does not tell it: Triton's data type and dimensions, -1 for any."""

    data_type: str
    dims: tuple[int, ...] = (1,)


Tokens = Annotated[Array | None, Wire("INT32", dims=(-1,))]
Codes = Annotated[Array | None, Wire("INT32", dims=(-1, -1))]
Seed = Annotated[int, Field(ge=0, lt=2**64), Wire("UINT64")]
Temperature = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
#: Seconds of silence between two pieces.
Gap = Annotated[float, Field(ge=0, le=MAX_PAUSE_S, allow_inf_nan=False)]
MIN_PIECE_DURATION_S = 1.5


class SpeechRequest(BaseModel):
    """The inputs of the model ``bark`` by name. The config of ``bark`` and the client follow this list."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    text: str
    voice: str | None = None
    semantic_prompt: Tokens = None
    coarse_prompt: Codes = None
    fine_prompt: Codes = None
    language: str | None = None  #: two letters, of the checkpoint's languages; a client may send any BCP 47 tag
    markdown: bool = True
    fold_signs: bool = True
    spell_numbers: bool
    speed: Literal["exact", "fast"] = "exact"
    latency: Literal["normal", "low"] = "normal"
    seed: Seed = Field(default_factory=lambda: secrets.randbits(32))
    semantic_temperature: Temperature
    coarse_temperature: Temperature
    fine_temperature: Temperature
    top_k: Annotated[int, Field(ge=0)] = 0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    min_eos_p: Annotated[float, Field(gt=0, le=1)]
    coarse_history: int
    coarse_window: int
    fine_padding: bool = True
    max_duration: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    piece_duration: float
    sentence_pause: Gap = 0.0
    paragraph_pause: Gap = 0.3
    stream: bool = False  #: True: several answers, while the audio is made. HTTP's `generate` can give one only
    return_tokens: bool = False
    split_sentences: bool = True
    chain_sentences: bool = False
    one_speaker: bool = True  #: without a voice, what the first piece spoke is the voice of the others
    retries: Annotated[int, Field(ge=0, le=MAX_RETRIES)] = MAX_RETRIES  #: more takes of a piece that failed
    on_failure: Literal["warn", "error", "skip"] = "warn"  #: what to do with a piece whose takes all failed

    @property
    def voice_arrays(self) -> dict[str, Array]:
        """The arrays of a voice sent along; empty when there are none."""
        named = {
            "semantic_prompt": self.semantic_prompt,
            "coarse_prompt": self.coarse_prompt,
            "fine_prompt": self.fine_prompt,
        }
        return {name: array for name, array in named.items() if array is not None}


def parse(inputs: Mapping[str, Any], *, spec: Spec, capabilities: StageCapabilities) -> SpeechRequest:
    """Check a request's inputs. Raises `InvalidRequest` with one sentence that names the input and its limit."""
    defaults = {
        **capabilities.sampling_defaults(spec.sampling).model_dump(),
        "coarse_history": spec.coarse.max_history,
        "coarse_window": spec.coarse.window,
        "spell_numbers": spec.text.spell_numbers,
        "piece_duration": min(spec.text.piece_duration_s, SAFE_SHARE * longest_speech_s(spec)),
    }
    if inputs.get("speed") == "fast":
        defaults |= fast_options(spec) | {"fine_padding": capabilities.whole_windows}
    if isinstance(language := inputs.get("language"), str):
        inputs = {**inputs, "language": parse_tag(language, languages=spec.text.languages)}
    try:
        request = SpeechRequest.model_validate({**defaults, **inputs})
    except ValidationError as error:
        first = error.errors()[0]
        value = f" {first['input']!r:.40}" if isinstance(first["input"], (int, float, str)) else ""
        message = first["msg"].replace("Input should", "it should", 1)
        raise InvalidRequest(f"{first['loc'][0]}{value} is out of range: {message}.") from None
    _check_text(request.text)
    _check_windows(request, spec=spec)
    _check_piece_duration(request, spec=spec)
    _check_capabilities(request, capabilities)
    if request.voice is not None and request.voice_arrays:
        raise InvalidRequest("a request names a voice or sends its arrays, not both.")
    return request


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Refuse what a client sends beside the inputs, which nothing reads: a misspelt option would be lost in silence.

    parameters: Triton's parameters of a request. HTTP's ``generate`` makes one of each field that is no input. Triton's
    own ones, and headers that an operator lets it forward, are no fault of the client's.
    """
    for name in parameters:
        if name in _TRITON_PARAMETERS or name.startswith(_TRITON_PREFIXES) or not name.isidentifier():
            continue
        if name in SpeechRequest.model_fields:
            raise InvalidRequest(f"parameter {name} is an input of the model: send it as a tensor, not as a parameter.")
        near = get_close_matches(name, SpeechRequest.model_fields)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(SpeechRequest.model_fields)}."
        raise InvalidRequest(f"parameter {name[:80]} is unknown: {hint}")


def longest_speech_s(spec: Spec) -> float:
    """Seconds that one prompt of a checkpoint can last."""
    return spec.semantic.max_steps / spec.semantic.rate_hz


def long_windows(spec: Spec) -> dict[str, int]:
    """Options for long coarse windows: three eighths of the context, after a history of one quarter.

    A window reads its whole prompt again, so fewer windows are faster; each sees less history. With Suno's numbers:
    384 new tokens after 256 semantic tokens and 256 of history, in a context of 1 024. The history is 1.7 s of speech.
    """
    coarse, context = spec.coarse, spec.coarse.gpt.block_size
    history = min(max(context // 4, coarse.window), coarse.max_history)
    window = min(3 * context // 8, context - coarse.semantic_context - history)
    return {"coarse_window": window, "coarse_history": history}


def fast_options(spec: Spec) -> dict[str, int]:
    """The options that ``speed="fast"`` stands for. A request that gives one of them itself overrides it."""
    return {**long_windows(spec), "fine_padding": False}


def _check_text(text: str) -> None:
    if not text.strip():
        raise InvalidRequest("text is empty; send at least one word.")
    if len(text) > MAX_TEXT_CHARACTERS:
        raise InvalidRequest(
            f"text has {len(text)} characters; the limit is {MAX_TEXT_CHARACTERS}: split it into several requests."
        )


def _check_windows(request: SpeechRequest, *, spec: Spec) -> None:
    coarse = spec.coarse
    min_history = coarse.window
    if not min_history <= request.coarse_history <= coarse.max_history:
        raise InvalidRequest(
            f"coarse_history {request.coarse_history} is out of range: "
            f"{min_history} to {coarse.max_history} coarse tokens."
        )
    max_window = coarse.gpt.block_size - coarse.semantic_context - request.coarse_history
    if not coarse.codebooks <= request.coarse_window <= max_window:
        raise InvalidRequest(
            f"coarse_window {request.coarse_window} is out of range: {coarse.codebooks} to "
            f"{max_window} coarse tokens beside a coarse_history of {request.coarse_history}."
        )


def _check_piece_duration(request: SpeechRequest, *, spec: Spec) -> None:
    most = SAFE_SHARE * longest_speech_s(spec)
    least = min(MIN_PIECE_DURATION_S, most)
    if not least <= request.piece_duration <= most:
        raise InvalidRequest(
            f"piece_duration {request.piece_duration:g} s is out of range: "
            f"{least:g} to {most:.1f} s with this checkpoint."
        )


def _check_capabilities(request: SpeechRequest, capabilities: StageCapabilities) -> None:
    built_in = capabilities.built_in
    if built_in is not None and not np.isclose(request.min_eos_p, built_in.min_eos_p, rtol=1e-6):
        raise InvalidRequest(
            f"min_eos_p {request.min_eos_p:.4g} differs from the {built_in.min_eos_p:.4g} that is built into this "
            "server's engine: leave it out, or build another engine."
        )
    if capabilities.whole_windows and not request.fine_padding:
        raise InvalidRequest(
            "fine_padding cannot be turned off here: this server's plan of the fine stage takes whole windows "
            "only. Leave it out."
        )


def warnings(request: SpeechRequest, *, spec: Spec, capabilities: StageCapabilities) -> Iterator[str]:
    """What of a request the server does not do exactly as asked, in one sentence each."""
    limit = longest_speech_s(spec)
    if request.max_duration is not None and request.max_duration > limit:
        yield f"max_duration {request.max_duration:g} s has no effect: a piece has at most {limit:.1f} s of audio."
    if request.speed == "fast" and capabilities.whole_windows:
        yield (
            "speed fast still pads short sentences here: this server's plan of the fine stage takes whole windows only."
        )
    if capabilities.built_in is not None:
        yield from _engine_warnings(request, capabilities.built_in)


def _engine_warnings(request: SpeechRequest, built_in: BuiltIn) -> Iterator[str]:
    exact = np.isclose(request.semantic_temperature, built_in.temperature, rtol=1e-6)
    if not exact or request.top_k or request.top_p < 1:
        yield (
            f"this server's engine takes the probability of the end of speech at temperature {built_in.temperature:g} "
            "and over all tokens, so speech may end a little earlier or later than asked for."
        )
    if request.top_p < 1:
        yield "this server applies top_p after the temperature; Bark's own code applies it before."
