"""A voice: the speaker prompt that Bark continues from, as Suno's `.npz` files hold it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bark_client.errors import InvalidRequest

ARRAYS = {"semantic_prompt": 1, "coarse_prompt": 2, "fine_prompt": 2}  #: name → dimensions


@dataclass(frozen=True, eq=False)
class Voice:
    """Three token arrays, int32: `semantic_prompt` [n], `coarse_prompt` and `fine_prompt` [codebooks, frames].

    Interchangeable with Suno's speaker prompts: `Voice.load("en_speaker_6.npz")`, `voice.save("mine.npz")`.
    Shapes and types are checked here; ranges and lengths, which depend on the checkpoint, by the server.
    """

    semantic_prompt: NDArray[np.int32]
    coarse_prompt: NDArray[np.int32]
    fine_prompt: NDArray[np.int32]

    def __post_init__(self) -> None:
        for name, dimensions in ARRAYS.items():
            object.__setattr__(self, name, _tokens(name, getattr(self, name), dimensions))

    def __repr__(self) -> str:
        return f"Voice({self.semantic_prompt.size} semantic tokens, {self.frames} frames)"

    @property
    def frames(self) -> int:
        """Frames of audio that the voice holds."""
        return int(self.fine_prompt.shape[1])

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Voice:
        """From anything that maps the three names to arrays; other names are ignored."""
        if missing := [name for name in ARRAYS if name not in arrays]:
            raise InvalidRequest(f"a voice needs the arrays {', '.join(ARRAYS)}; missing: {', '.join(missing)}")
        return cls(**{name: arrays[name] for name in ARRAYS})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Voice:
        """From an `.npz` file. Pickled contents are refused."""
        try:
            arrays = np.load(path, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise InvalidRequest("it holds a single array")
            with arrays:
                return cls.from_arrays(arrays)
        except FileNotFoundError:
            raise InvalidRequest(f"voice {path}: no such file") from None
        except InvalidRequest as error:
            raise InvalidRequest(f"voice {path}: {error}") from None
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise InvalidRequest(f"voice {path}: not a readable .npz file ({error})") from None

    def save(self, path: str | os.PathLike[str]) -> Path:
        """To an `.npz` file that Bark, in any of its implementations, takes as a speaker prompt."""
        target = Path(path)
        if target.suffix != ".npz":
            raise InvalidRequest(f"voice file {target}: the suffix must be .npz")
        np.savez(target, **{name: getattr(self, name) for name in ARRAYS})
        return target


VoiceLike: TypeAlias = str | os.PathLike[str] | Voice | Mapping[str, Any]  #: what callers may give as a voice


def resolve(voice: VoiceLike) -> str | Voice:
    """The name of a voice on the server (str), or the arrays to send: a `.npz` path is read, a mapping checked."""
    match voice:
        case Voice():
            return voice
        case str() if not voice.endswith(".npz"):
            if not voice.strip():
                raise InvalidRequest("voice: the name is empty; leave voice out for Bark's own choice of speaker")
            return voice
        case str() | os.PathLike():
            return Voice.load(voice)
        case Mapping():
            return Voice.from_arrays(voice)
    raise InvalidRequest(
        f"voice: expected a name, an .npz path, a Voice or a mapping of arrays, not {type(voice).__name__}"
    )


def _tokens(name: str, value: Any, dimensions: int) -> NDArray[np.int32]:
    """`value` as an int32 array of so many dimensions, or InvalidRequest."""
    array = np.asarray(value)
    if array.ndim != dimensions or array.dtype.kind not in "iu" or array.size == 0:
        raise InvalidRequest(
            f"{name}: expected a non-empty integer array of {dimensions} dimension{'s' * (dimensions > 1)}, "
            f"not {array.dtype} {list(array.shape)}"
        )
    if array.min() < 0 or array.max() > np.iinfo(np.int32).max:
        raise InvalidRequest(f"{name}: tokens must lie in 0..2147483647, found {array.min()}..{array.max()}")
    return np.ascontiguousarray(array, dtype=np.int32)
