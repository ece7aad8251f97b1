"""Voices: speaker prompts, three token arrays each, interchangeable with Suno's ``.npz`` files."""

from __future__ import annotations

import re
import zipfile
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bark_serving.arrays import Array, Ids
from bark_serving.errors import InvalidRequest
from bark_serving.spec import Spec

ARRAYS = ("semantic_prompt", "coarse_prompt", "fine_prompt")
_NAME = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)?")


def language_of(name: str) -> str | None:
    """ISO 639-1 code that a name like ``v2/de_speaker_3`` states."""
    named = re.search(r"(?:^|/)([a-z]{2})_speaker_\d+$", name)
    return named[1] if named else None


@dataclass(frozen=True)
class Voice:
    """semantic: [n] tokens; coarse: [coarse codebooks, frames]; fine: [codebooks, frames]."""

    semantic: Ids
    coarse: Ids
    fine: Ids


def voice_from_arrays(arrays: Mapping[str, Array], *, spec: Spec) -> Voice:
    """Check the three arrays as Bark's own code does and make a voice of them. Raises `InvalidRequest`."""
    missing = [name for name in ARRAYS if name not in arrays]
    if missing:
        raise InvalidRequest(f"the voice lacks {', '.join(missing)}; a voice needs {', '.join(ARRAYS)}.")
    codebook = spec.encodec.codebook_size
    semantic = _tokens("semantic_prompt", arrays["semantic_prompt"], rows=None, limit=spec.semantic.vocab)
    coarse = _tokens("coarse_prompt", arrays["coarse_prompt"], rows=spec.coarse.codebooks, limit=codebook)
    fine = _tokens("fine_prompt", arrays["fine_prompt"], rows=spec.encodec.codebooks, limit=codebook)
    expected = spec.semantic_to_coarse / spec.coarse.codebooks
    ratio = coarse.shape[1] / len(semantic)
    if round(ratio, 1) != round(expected, 1):
        raise InvalidRequest(
            f"coarse_prompt has {coarse.shape[1]} frames for {len(semantic)} semantic tokens, a ratio of {ratio:.2f}; "
            f"both must cover the same time, a ratio of {expected:.1f}."
        )
    return Voice(semantic=semantic, coarse=coarse, fine=fine)


def _tokens(name: str, array: Array, *, rows: int | None, limit: int) -> Ids:
    shape = "[tokens]" if rows is None else f"[{rows}, frames]"
    if array.ndim != (1 if rows is None else 2) or (rows is not None and array.shape[0] != rows):
        raise InvalidRequest(f"{name} has shape {list(array.shape)}; it must be {shape}.")
    if not np.issubdtype(array.dtype, np.integer):
        raise InvalidRequest(f"{name} is of type {array.dtype}; it must hold integers.")
    if array.size == 0:
        raise InvalidRequest(f"{name} is empty; it must be {shape} with at least one column.")
    if array.min() < 0 or array.max() >= limit:
        raise InvalidRequest(f"{name} holds {array.min()}..{array.max()}; its tokens must be in 0..{limit - 1}.")
    return array.astype(np.int32)


class VoiceLibrary:
    """Voices by name, from folders of ``.npz`` files; ``v2/en_speaker_6`` is ``<folder>/v2/en_speaker_6.npz``.

    Folders are searched in order. The ``cached`` voices used last stay in memory.
    """

    def __init__(self, folders: Iterable[Path], *, spec: Spec, cached: int = 64) -> None:
        self._folders = [Path(folder) for folder in folders]
        self._spec = spec
        self._size = cached
        self._cache: OrderedDict[str, Voice] = OrderedDict()

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(
            {
                path.relative_to(folder).with_suffix("").as_posix()
                for folder in self._folders
                for pattern in ("*.npz", "*/*.npz")
                for path in folder.glob(pattern)
            }
        )

    def get(self, name: str) -> Voice:
        """The voice of that name. Raises `InvalidRequest` when there is none or its file is broken."""
        if name in self._cache:
            self._cache.move_to_end(name)
            return self._cache[name]
        voice = self._read(self._path(name), name)
        self._cache[name] = voice
        while len(self._cache) > self._size:
            self._cache.popitem(last=False)
        return voice

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise InvalidRequest(f"{name[:80]!r} is no voice name; names look like v2/en_speaker_6.")
        for folder in self._folders:
            path = folder / f"{name}.npz"
            if path.is_file():
                return path
        raise InvalidRequest(f"there is no voice {name!r}; `bark voice list` lists those that this server has.")

    def _read(self, path: Path, name: str) -> Voice:
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {key: file[key] for key in ARRAYS if key in file}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise InvalidRequest(f"the file of voice {name!r} cannot be read: {error}.") from error
        return voice_from_arrays(arrays, spec=self._spec)
