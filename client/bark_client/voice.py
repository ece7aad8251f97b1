"""A voice: the speaker prompt that Bark continues from, as Suno's `.npz` files hold it."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bark_client.errors import InvalidRequest
from bark_client.growing import write_whole
from bark_client.playable import Playable

FRAME_RATE_HZ: Final = 75  #: frames of a voice per second
ARRAYS: Final = {"semantic_prompt": 1, "coarse_prompt": 2, "fine_prompt": 2}  #: name → dimensions
LANGUAGES: Final = {
    "en": "English", "de": "German", "es": "Spanish", "fr": "French", "hi": "Hindi", "it": "Italian", "ja": "Japanese",
    "ko": "Korean", "pl": "Polish", "pt": "Portuguese", "ru": "Russian", "tr": "Turkish", "zh": "Chinese",
}  # fmt: skip
_MAX_ARRAY_BYTES: Final = 16 << 20  # in a file: half an hour of frames. Those of Suno's voices have 70 kB
_REMEDY: Final = "clone it again, or export it again"
_UNREADABLE: Final = (
    OSError, ValueError, TypeError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Voice:
    """Three token arrays, int32: `semantic_prompt` [n], `coarse_prompt` and `fine_prompt` [codebooks, frames].

    Interchangeable with Suno's speaker prompts: `Voice.load("en_speaker_6.npz")`, `voice.save("mine.npz")`.
    Arrays of whole floats count as integers. Shapes, types and equal lengths are checked here. The server checks ranges
    and the ratio of lengths, which depend on the checkpoint.
    """

    semantic_prompt: NDArray[np.int32]
    coarse_prompt: NDArray[np.int32]
    fine_prompt: NDArray[np.int32]
    warnings: tuple[str, ...] = ()  #: possible problems of the clip it was cloned from

    def __post_init__(self) -> None:
        for name, dimensions in ARRAYS.items():
            object.__setattr__(self, name, _tokens(name, getattr(self, name), dimensions))
        if self.fine_prompt.shape[1] != self.coarse_prompt.shape[1]:
            raise InvalidRequest(
                f"fine_prompt has {self.fine_prompt.shape[1]} frames and coarse_prompt {self.coarse_prompt.shape[1]}; "
                f"both must have the same: {_REMEDY}"
            )

    def __str__(self) -> str:
        return f"{self.semantic_prompt.size} semantic tokens, {self.frames} frames"

    def __repr__(self) -> str:
        return f"Voice({self})"

    @property
    def frames(self) -> int:
        """How many frames of audio the voice has."""
        return int(self.fine_prompt.shape[1])

    @property
    def hash(self) -> str:
        """The server's identifier of these arrays: `sha256:` and a hash over each array's shape and data, as int32."""
        digest = hashlib.sha256()
        for name in ARRAYS:
            array = getattr(self, name)
            digest.update(np.array(array.shape, dtype="<i4").tobytes())
            digest.update(array.astype("<i4").tobytes())
        return f"sha256:{digest.hexdigest()}"

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Voice:
        """Make a voice from a mapping of the three names to arrays. Other names are ignored."""
        if missing := [name for name in ARRAYS if name not in arrays]:
            raise InvalidRequest(
                f"a voice needs the arrays {', '.join(ARRAYS)}; missing: {', '.join(missing)}: {_REMEDY}"
            )
        return cls(**{name: arrays[name] for name in ARRAYS})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Voice:
        """Read an `.npz` file. InvalidRequest says what is wrong with it; pickles and huge arrays are never read."""
        try:
            _refuse_placeholder(path)
            arrays = np.load(path, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise InvalidRequest(f"it holds a single array; a voice has three: {_REMEDY}")
            with arrays:
                for entry in arrays.zip.infolist() if arrays.zip else ():
                    _check_size(entry.filename, entry.file_size)
                return cls.from_arrays(arrays)
        except FileNotFoundError:
            raise InvalidRequest(f"voice {path}: no such file{_named_instead(path)}") from None
        except InvalidRequest as error:
            raise InvalidRequest(f"voice {path}: {error}") from None
        except _UNREADABLE as error:
            raise InvalidRequest(f"voice {path}: not a readable .npz file ({error}): {_REMEDY}") from None

    @classmethod
    def load_parts(cls, paths: Mapping[str, Path]) -> Voice:
        """Read three `.npy` files, by array name: the form of voices in Bark's transformers checkpoints."""
        arrays = {}
        for name, path in paths.items():
            try:
                _refuse_placeholder(path)
                _check_size(path.name, path.stat().st_size)
                arrays[name] = np.load(path, allow_pickle=False)
            except FileNotFoundError:
                raise InvalidRequest(f"voice {path}: no such file; a voice needs {', '.join(ARRAYS)}") from None
            except InvalidRequest as error:
                raise InvalidRequest(f"voice {path}: {error}") from None
            except _UNREADABLE as error:
                raise InvalidRequest(f"voice {path}: not a readable .npy file ({error}): {_REMEDY}") from None
        try:
            return cls.from_arrays(arrays)
        except InvalidRequest as error:
            raise InvalidRequest(f"voice {next(iter(paths.values()))}: {error}") from None

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write an `.npz` file, which every implementation of Bark takes as a speaker prompt."""
        target = Path(path)
        if target.suffix != ".npz":
            raise InvalidRequest(f"voice file {target}: the suffix must be .npz")
        buffer = io.BytesIO()
        np.savez(buffer, **{name: getattr(self, name) for name in ARRAYS})
        write_whole(target, buffer.getvalue())
        return target


@dataclass(frozen=True)
class VoiceInfo:
    """A voice that the server knows."""

    name: str  #: what `voice=` takes
    language: str | None  #: two letters; None if the name doesn't tell
    semantic_tokens: int
    frames: int
    seconds: float  #: length of its audio
    hash: str  #: of its arrays: `sha256:` and 64 digits; with at least the first 12 it also names the voice
    stored: bool  #: in the server's store; False for a read-only one, from the checkpoint or a folder
    created: datetime | None  #: when it was stored

    @property
    def language_name(self) -> str:
        """The language in English; empty if it isn't known."""
        return LANGUAGES.get(self.language or "", self.language or "")


@dataclass(frozen=True, eq=False)
class VoicePreview(Playable):
    """What a voice sounds like: audio decoded from its own fine tokens. A notebook shows it as a player."""

    name: str
    samples: NDArray[np.float32]  #: [n], -1..1, mono
    sample_rate: int
    voice: Voice
    language: str = ""  #: in English

    @property
    def title(self) -> str:
        return self.name

    @property
    def caption(self) -> str:
        part = "the last " * (self.samples.size < self.voice.frames * self.sample_rate // FRAME_RATE_HZ)
        return " · ".join(filter(None, (self.language, f"{part}{self.seconds:.1f} s", str(self.voice))))

    def __repr__(self) -> str:
        return f"VoicePreview({self.name!r}, {self.seconds:.2f} s at {self.sample_rate} Hz)"


VoiceLike: TypeAlias = str | os.PathLike[str] | Voice | Mapping[str, Any]  #: the forms of a voice that callers may give


def resolve(voice: VoiceLike) -> str | Voice:
    """The name of a voice on the server (str), or the arrays to send. A path of an `.npz` file is read."""
    match voice:
        case Voice():
            return voice
        case str() if not voice.lower().endswith(".npz"):
            if not voice.strip():
                raise InvalidRequest("voice: the name is empty; leave voice out and Bark makes up a speaker")
            return voice
        case str() | os.PathLike():
            return Voice.load(voice)
        case Mapping():
            return Voice.from_arrays(voice)
    raise InvalidRequest(
        f"voice: expected a name, an .npz path, a Voice or a mapping of arrays, not {type(voice).__name__}"
    )


def voice_identity(voice: VoiceLike | None) -> str | None:
    """What a command line says of its voice: its name on the server, or the hash of its arrays."""
    found = None if voice is None else resolve(voice)
    return found.hash if isinstance(found, Voice) else found


def _named_instead(path: str | os.PathLike[str]) -> str:
    """What to say of a missing file, which may have been meant as a voice of the server: `joe.npz`, `v2\\joe.npz`."""
    text = str(path).replace("\\", "/").removeprefix("./")
    name = text[: -len(".npz")] if text.lower().endswith(".npz") else ""
    if not name or name.startswith(("/", "..")) or name.count("/") > 1:
        return "; correct the path, or give the name of a voice of the server (`bark voice list`)"
    return f"; if you mean the server's voice, did you mean {name!r}? Names have no .npz (`bark voice list` shows them)"


def _refuse_placeholder(path: str | os.PathLike[str]) -> None:
    """Raise InvalidRequest if a download left something else in the file's place."""
    with Path(path).open("rb") as file:
        beginning = file.read(256).lstrip()
    if not beginning:
        raise InvalidRequest("it is empty: fetch it again")
    if beginning[:9].lower().startswith((b"<!doctype", b"<html")):
        raise InvalidRequest("it is an HTML page, as a website answers a wrong address: fetch the file itself")
    if beginning.startswith(b"version https://git-lfs"):
        raise InvalidRequest("it is a pointer of Git LFS, not the file itself: run `git lfs pull` in its repository")


def _check_size(name: str, size: int) -> None:
    if size > _MAX_ARRAY_BYTES:
        raise InvalidRequest(
            f"{name} has {size:,} bytes; an array of a voice has at most {_MAX_ARRAY_BYTES:,}: {_REMEDY}"
        )


def _tokens(name: str, value: Any, dimensions: int) -> NDArray[np.int32]:
    """`value` as an int32 array of that many dimensions, or InvalidRequest."""
    array = np.asarray(value)
    if array.ndim != dimensions or array.dtype.kind not in "iuf" or array.size == 0:
        raise InvalidRequest(
            f"{name}: expected a non-empty integer array of {dimensions} dimension{'s' * (dimensions > 1)}, "
            f"not {array.dtype} {list(array.shape)}: {_REMEDY}"
        )
    if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.floor(array))).all():
        raise InvalidRequest(f"{name}: tokens must be whole numbers, found others: {_REMEDY}")
    if array.min() < 0 or array.max() > np.iinfo(np.int32).max:
        raise InvalidRequest(f"{name}: tokens must lie in 0..2147483647, found {array.min()}..{array.max()}: {_REMEDY}")
    return np.ascontiguousarray(array, dtype=np.int32)
