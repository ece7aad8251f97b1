"""Finds the voices in a folder, and their names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bark_client.errors import InvalidRequest
from bark_client.voice import ARRAYS, Voice

#: Folders in which checkpoints and packages of Bark keep their voices. A name is the path below one.
_INSIDE: Final = ("speaker_embeddings", "assets/prompts", "bark/assets/prompts", "voices")
_PART: Final = "_semantic_prompt.npy"


@dataclass(frozen=True)
class VoiceFile:
    """One `.npz` file, or three `.npy` files, as in the transformers checkpoints of Bark."""

    name: str
    path: Path  #: of the `.npz` file, or of the first of the three

    def load(self) -> Voice:
        """Read the voice. InvalidRequest names the file and what is wrong with it."""
        if self.path.suffix.lower() == ".npz":
            return Voice.load(self.path)
        stem = self.path.name.removesuffix(_PART)
        return Voice.load_parts({name: self.path.with_name(f"{stem}_{name}.npy") for name in ARRAYS})


def find(path: Path) -> list[VoiceFile]:
    """The voices of a file or folder, sorted by name. The path inside the folder is the name: `v2/en_speaker_6`.

    Raises InvalidRequest if there is none.
    """
    if path.is_file():
        return [_one(path)]
    if not path.is_dir():
        raise InvalidRequest(f"{path}: no such file or folder; give an .npz file, or a folder of voices")
    base = next((path / inside for inside in _INSIDE if (path / inside).is_dir()), path)
    found = {}
    for pattern, suffix in ((f"*{_PART}", _PART), ("*.npz", ".npz")):
        for file in base.rglob(pattern):
            name = file.relative_to(base).as_posix().removesuffix(suffix)
            found[name] = VoiceFile(name, file)
    if not found:
        raise InvalidRequest(f"{path}: no voices in this folder (.npz files, or three .npy files each)")
    return [found[name] for name in sorted(found)]


def _one(path: Path) -> VoiceFile:
    """The voice in an `.npz` file, or in the three `.npy` files of which this is one."""
    if path.suffix.lower() == ".npz":
        return VoiceFile(path.stem, path)
    for array in ARRAYS:
        if path.name.endswith(f"_{array}.npy"):
            stem = path.name.removesuffix(f"_{array}.npy")
            return VoiceFile(stem, path.with_name(f"{stem}{_PART}"))
    raise InvalidRequest(f"{path}: a voice is an .npz file; `bark voice clone` makes one from sound")
