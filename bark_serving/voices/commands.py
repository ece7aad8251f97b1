"""The commands of the model ``voices``: list, get, check, put, delete, rename. Arrays in, arrays out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from bark_serving.arrays import Array
from bark_serving.errors import InvalidRequest
from bark_serving.spec import Spec
from bark_serving.voices.entries import Entry
from bark_serving.voices.library import VoiceLibrary
from bark_serving.voices.voice import ARRAYS, Voice, voice_from_arrays

_Inputs = dict[str, Any]
_Answer = tuple[Iterable[Entry], Voice | None]


def run_command(inputs: dict[str, Any], *, library: VoiceLibrary) -> dict[str, Array]:
    """Run the command in the inputs of the model ``voices``. Returns its outputs by name. Raises `ServingError`."""
    command = _required(inputs, "command")
    if command not in _COMMANDS:
        raise InvalidRequest(f"{command[:80]!r} is no command of this model; it knows {', '.join(_COMMANDS)}.")
    entries, voice = _COMMANDS[command](library, inputs)
    rows = [json.dumps(vars(entry)).encode() for entry in entries]
    outputs: dict[str, Array] = {"voices": np.array(rows, np.object_)}
    return outputs | (voice.arrays if voice else _no_arrays(library.spec))


def _list(library: VoiceLibrary, inputs: _Inputs) -> _Answer:
    return library.entries(), None


def _get(library: VoiceLibrary, inputs: _Inputs) -> _Answer:
    name = _required(inputs, "name")
    return [library.entry(name)], library.get(name)


def _check(library: VoiceLibrary, inputs: _Inputs) -> _Answer:
    library.check(_required(inputs, "name"), overwrite=_overwrite(inputs))
    return [], None


def _put(library: VoiceLibrary, inputs: _Inputs) -> _Answer:
    name = _required(inputs, "name")
    voice = voice_from_arrays({array: inputs[array] for array in ARRAYS if array in inputs}, spec=library.spec)
    return [library.put(name, voice, overwrite=_overwrite(inputs))], None


def _delete(library: VoiceLibrary, inputs: _Inputs) -> _Answer:
    return [library.delete(_required(inputs, "name"))], None


def _rename(library: VoiceLibrary, inputs: _Inputs) -> _Answer:
    name, new_name = _required(inputs, "name"), _required(inputs, "new_name")
    return [library.rename(name, new_name, overwrite=_overwrite(inputs))], None


_COMMANDS: dict[str, Callable[[VoiceLibrary, _Inputs], _Answer]] = {
    "list": _list,
    "get": _get,
    "check": _check,
    "put": _put,
    "delete": _delete,
    "rename": _rename,
}


def _required(inputs: _Inputs, name: str) -> str:
    if name not in inputs:
        raise InvalidRequest(f"the request lacks {name}.")
    return str(inputs[name])


def _overwrite(inputs: _Inputs) -> bool:
    return bool(inputs.get("overwrite", False))


def _no_arrays(spec: Spec) -> dict[str, Array]:
    """Empty arrays. Every declared output is always sent, because a client waits for those that it asked for."""
    shapes = ((0,), (spec.coarse.codebooks, 0), (spec.encodec.codebooks, 0))
    return {name: np.empty(shape, np.int32) for name, shape in zip(ARRAYS, shapes, strict=True)}
