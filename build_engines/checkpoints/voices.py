"""The voices that come with a checkpoint: speaker prompts as .npz files or as three .npy files each."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bark_serving.errors import InvalidRequest
from bark_serving.spec import Spec
from bark_serving.voices import ARRAYS, Voice, is_name, voice_from_arrays
from bark_serving.voices import files as voice_files
from build_engines.checkpoints.changes import VOICE_PREFIXES
from build_engines.errors import CheckpointError, refuse_placeholder

_REFETCH = "Remove the file or fetch it again."
_RENAME = (
    "Rename its file: letters, digits, _, -, no - at the beginning, at most one slash, at most 64 characters on each "
    "side, no name that Windows reserves (CON, NUL, …)."
)


@dataclass(frozen=True)
class LeftOut:
    """A voice that is not imported, and why."""

    name: str
    problem: str


OnLeftOut = Callable[[LeftOut], None]


def warn_left_out(voice: LeftOut) -> None:
    """An `OnLeftOut` for callers without a terminal."""
    warnings.warn(f"The voice {voice.name} was left out: {voice.problem}", stacklevel=2)


def choose(names: Iterable[str], *, left_out: OnLeftOut) -> dict[str, tuple[str, ...]]:
    """The voices among these files: {voice's name: its .npz, or its three .npy in the order of `ARRAYS`}.

    A voice's name is its path below one of `VOICE_PREFIXES`, or below the top of a folder that holds voices only.
    `left_out` is told of a name that the server would not list, and of a .npy without the two that belong to it.
    """
    found = sorted(names)
    prefix = next((prefix for prefix in VOICE_PREFIXES if any(name.startswith(prefix) for name in found)), "")
    inside = {name.removeprefix(prefix) for name in found if name.startswith(prefix)}
    voices: dict[str, tuple[str, ...]] = {}
    for short in sorted(inside):
        if short.endswith(voice_files.SUFFIX):
            voices[short.removesuffix(voice_files.SUFFIX)] = (short,)
        elif array := next((array for array in ARRAYS if short.endswith(f"_{array}.npy")), None):
            voice = short.removesuffix(f"_{array}.npy")
            voices.setdefault(voice, tuple(f"{voice}_{array}.npy" for array in ARRAYS))
    chosen: dict[str, tuple[str, ...]] = {}
    for voice, files in voices.items():
        missing = [file for file in files if file not in inside]
        if not is_name(voice):
            left_out(LeftOut(voice, f"the server would not list this name. {_RENAME}"))
        elif missing:
            left_out(LeftOut(voice, f"{prefix}{missing[0]} is missing. {_REFETCH}"))
        else:
            chosen[voice] = tuple(f"{prefix}{file}" for file in files)
    return chosen


def read_voices(
    chosen: Mapping[str, tuple[str, ...]], folder: Path, *, spec: Spec, left_out: OnLeftOut
) -> dict[str, Voice]:
    """The voices of `choose` by name, without those that cannot be read or used; `left_out` is told of them."""
    voices: dict[str, Voice] = {}
    for name, files in chosen.items():
        try:
            voices[name] = read_voice(name, folder, files, spec=spec)
        except CheckpointError as error:
            left_out(LeftOut(name, str(error)))
    return voices


def read_voice(name: str, folder: Path, files: tuple[str, ...], *, spec: Spec) -> Voice:
    """A voice, checked as the server checks it. Raises `CheckpointError`."""
    paths = [folder / file for file in files]
    try:
        if len(paths) == 1:
            with paths[0].open("rb") as file:
                return voice_files.read(file, name=name, spec=spec, remedy="")
        arrays = {array: _load(path) for array, path in zip(ARRAYS, paths, strict=True)}
        return voice_from_arrays(arrays, spec=spec, remedy="")
    except InvalidRequest as error:
        source = str(paths[0]).removesuffix(f"_{ARRAYS[0]}.npy")
        raise CheckpointError(f"{source}: {error.args[0]}", remedy=_REFETCH) from error


def write_voice(path: Path, voice: Voice) -> None:
    """Write a voice as Suno's are: an uncompressed .npz, the same bytes for the same arrays."""
    np.savez(path, **voice.arrays)


def _load(path: Path) -> npt.NDArray[np.generic]:
    refuse_placeholder(path)
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise CheckpointError(f"{path} is not an array ({error}).", remedy=_REFETCH) from error
    if not isinstance(array, np.ndarray):
        raise CheckpointError(f"{path} is not an array.", remedy=_REFETCH)
    return array
