"""The Triton model ``voices``: list, get, put, delete and rename what a server can speak with."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from bark_serving.arrays import Array
from bark_serving.errors import InvalidRequest, ServingError
from bark_serving.spec import Spec
from bark_serving.triton.bark_model import read_inputs
from bark_serving.triton.tensors import Parameters, failure, inputs_of, response
from bark_serving.triton.voice_library import open_library
from bark_serving.voices import ARRAYS, Entry, Voice, VoiceLibrary, voice_from_arrays

log = logging.getLogger(__name__)

_Inputs = dict[str, Any]
_Answer = tuple[Iterable[Entry], Voice | None]


class VoicesModel:
    """One command a request; see `obey`."""

    def initialize(self, args: Mapping[str, str]) -> None:
        self._library = open_library(Parameters(args))

    def execute(self, requests: list[Any]) -> list[Any]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        try:
            return response(obey(read_inputs(inputs_of(request)), library=self._library))
        except Exception as error:
            if not isinstance(error, ServingError):
                log.exception("a request failed")
            return failure(error)


def obey(inputs: _Inputs, *, library: VoiceLibrary) -> dict[str, Array]:
    """Run the command among the inputs; the model's outputs by name. Raises `ServingError`."""
    command = _needed(inputs, "command")
    if command not in _COMMANDS:
        raise InvalidRequest(f"{command[:80]!r} is no command of this model; it knows {', '.join(_COMMANDS)}.")
    entries, voice = _COMMANDS[command](library, inputs)
    rows = [json.dumps(vars(entry)).encode() for entry in entries]
    outputs: dict[str, Array] = {"voices": np.array(rows, np.object_)}
    return outputs | (voice.arrays if voice else _no_arrays(library.spec))


def _list(library: VoiceLibrary, inputs: _Inputs) -> _Answer:
    return library.entries(), None


def _get(library: VoiceLibrary, inputs: _Inputs) -> _Answer:
    name = _needed(inputs, "name")
    return [library.entry(name)], library.get(name)


def _put(library: VoiceLibrary, inputs: _Inputs) -> _Answer:
    name = _needed(inputs, "name")
    voice = voice_from_arrays({array: inputs[array] for array in ARRAYS if array in inputs}, spec=library.spec)
    return [library.put(name, voice, overwrite=_overwrite(inputs))], None


def _delete(library: VoiceLibrary, inputs: _Inputs) -> _Answer:
    return [library.delete(_needed(inputs, "name"))], None


def _rename(library: VoiceLibrary, inputs: _Inputs) -> _Answer:
    name, new_name = _needed(inputs, "name"), _needed(inputs, "new_name")
    return [library.rename(name, new_name, overwrite=_overwrite(inputs))], None


_COMMANDS: dict[str, Callable[[VoiceLibrary, _Inputs], _Answer]] = {
    "list": _list,
    "get": _get,
    "put": _put,
    "delete": _delete,
    "rename": _rename,
}


def _needed(inputs: _Inputs, name: str) -> str:
    if name not in inputs:
        raise InvalidRequest(f"the request lacks {name}.")
    return str(inputs[name])


def _overwrite(inputs: _Inputs) -> bool:
    return bool(inputs.get("overwrite", False))


def _no_arrays(spec: Spec) -> dict[str, Array]:
    """Every declared output is always sent: a client waits for the ones it asked for."""
    shapes = ((0,), (spec.coarse.codebooks, 0), (spec.encodec.codebooks, 0))
    return {name: np.empty(shape, np.int32) for name, shape in zip(ARRAYS, shapes, strict=True)}
