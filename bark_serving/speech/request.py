"""What a client asks for, checked against the checkpoint's limits before any stage runs."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bark_serving.arrays import Array
from bark_serving.errors import InvalidRequest
from bark_serving.spec import Spec

MAX_TEXT = 20_000  #: characters; some 25 minutes of speech

Temperature = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]


class SpeechRequest(BaseModel):
    """The ``bark`` model's inputs by name. None means: the checkpoint's own default."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    text: str
    voice: str | None = None
    semantic_prompt: Array | None = None
    coarse_prompt: Array | None = None
    fine_prompt: Array | None = None
    language: Annotated[str, Field(pattern="^[a-z]{2}$")] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**64)] = Field(default_factory=lambda: secrets.randbits(32))
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
    stream: bool = True
    return_tokens: bool = False
    split_sentences: bool = True
    chain_sentences: bool = False

    @property
    def voice_arrays(self) -> dict[str, Array]:
        """The arrays of a voice sent along; empty when there are none."""
        named = {
            "semantic_prompt": self.semantic_prompt,
            "coarse_prompt": self.coarse_prompt,
            "fine_prompt": self.fine_prompt,
        }
        return {name: array for name, array in named.items() if array is not None}


def parse(inputs: dict[str, Any], *, spec: Spec) -> SpeechRequest:
    """Check a request's inputs. Raises `InvalidRequest` with one sentence: what, and the limit."""
    defaults = {
        **spec.sampling.model_dump(),
        "coarse_history": spec.coarse.max_history,
        "coarse_window": spec.coarse.window,
    }
    try:
        request = SpeechRequest.model_validate({**defaults, **inputs})
    except ValidationError as error:
        first = error.errors()[0]
        value = f" {first['input']!r}" if isinstance(first["input"], (int, float)) else ""
        message = first["msg"].replace("Input should", "it should", 1)
        raise InvalidRequest(f"{first['loc'][0]}{value} is out of range: {message}.") from None
    _check_text(request.text)
    _check_windows(request, spec=spec)
    if request.voice is not None and request.voice_arrays:
        raise InvalidRequest("a request names a voice or sends its arrays, not both.")
    return request


def _check_text(text: str) -> None:
    if not text.strip():
        raise InvalidRequest("text is empty; send at least one word.")
    if len(text) > MAX_TEXT:
        raise InvalidRequest(
            f"text has {len(text)} characters; the limit is {MAX_TEXT}: split it into several requests."
        )


def _check_windows(request: SpeechRequest, *, spec: Spec) -> None:
    coarse = spec.coarse
    least = coarse.window
    if not least <= request.coarse_history <= coarse.max_history:
        raise InvalidRequest(
            f"coarse_history {request.coarse_history} is out of range: {least} to {coarse.max_history} coarse tokens."
        )
    room = coarse.gpt.block_size - coarse.semantic_context
    if not coarse.codebooks <= request.coarse_window <= room - request.coarse_history:
        raise InvalidRequest(
            f"coarse_window {request.coarse_window} is out of range: {coarse.codebooks} to "
            f"{room - request.coarse_history} coarse tokens beside a coarse_history of {request.coarse_history}."
        )
