"""The inputs of the model ``bark`` as Triton declares them, derived from the fields of `SpeechRequest`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from bark_serving.speech.request import SpeechRequest, Wire

#: Triton's data type of a scalar, by its type in Python.
_DATA_TYPES: dict[type, str] = {str: "STRING", int: "INT32", float: "FP32", bool: "BOOL"}
_REQUIRED = "text"


@dataclass(frozen=True)
class RequestInput:
    """One input: its name, Triton's data type without ``TYPE_``, and its dimensions, -1 for any."""

    name: str
    data_type: str
    dims: tuple[int, ...]
    optional: bool


def request_inputs() -> list[RequestInput]:
    """The inputs, in the order of the fields."""
    found = []
    for name, field in SpeechRequest.model_fields.items():
        wire = next((extra for extra in field.metadata if isinstance(extra, Wire)), None)
        wire = wire or Wire(_data_type(name, field.annotation))
        found.append(RequestInput(name, wire.data_type, wire.dims, optional=name != _REQUIRED))
    return found


def _data_type(name: str, annotation: Any) -> str:
    """Of a scalar. Raises `TypeError` for a field of another type, which must say its `Wire` itself."""
    found = {_DATA_TYPES[one] for one in _types_in(annotation) if one in _DATA_TYPES}
    if len(found) != 1:
        raise TypeError(f"SpeechRequest.{name} of type {annotation} has no tensor type: annotate it with Wire(…).")
    return found.pop()


def _types_in(annotation: Any) -> Iterator[type]:
    """The plain types of an annotation: of ``Annotated[str, …] | None`` str and NoneType, of a Literal its values'."""
    if get_origin(annotation) is Literal:
        yield from map(type, get_args(annotation))
    elif isinstance(annotation, type):
        yield annotation
    else:
        for part in get_args(annotation):
            if isinstance(part, type) or get_args(part):
                yield from _types_in(part)
