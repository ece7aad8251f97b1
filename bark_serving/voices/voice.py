"""A voice: its three arrays and the rules for them, its hash, and the rule for its name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bark_serving.arrays import Array, Ids
from bark_serving.errors import InvalidRequest
from bark_serving.spec import Spec
from bark_serving.voices.limits import MAX_VOICE_S

ARRAYS = ("semantic_prompt", "coarse_prompt", "fine_prompt")
HASH_PREFIX = "sha256:"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64})?")
_HASH = re.compile(r"sha256:[0-9a-f]{12,64}")


@dataclass(frozen=True)
class Voice:
    """semantic: [n] tokens; coarse: [coarse codebooks, frames]; fine: [codebooks, frames]."""

    semantic: Ids
    coarse: Ids
    fine: Ids

    @property
    def arrays(self) -> dict[str, Ids]:
        """The arrays by the names that ``.npz`` files and tensors have."""
        return dict(zip(ARRAYS, (self.semantic, self.coarse, self.fine), strict=True))

    @property
    def frames(self) -> int:
        """Frames of the codec."""
        return int(self.fine.shape[1])

    @property
    def nbytes(self) -> int:
        """Bytes of the three arrays."""
        return sum(array.nbytes for array in self.arrays.values())


def content_hash(voice: Voice) -> str:
    """``sha256:`` and 64 hex digits: a hash over each array's shape and data, as little-endian int32."""
    digest = hashlib.sha256()
    for array in voice.arrays.values():
        digest.update(np.array(array.shape, "<i4").tobytes())
        digest.update(array.astype("<i4").tobytes())
    return HASH_PREFIX + digest.hexdigest()


def is_hash(name: str) -> bool:
    """Whether this is a content hash, or the beginning of one, instead of a name."""
    return _HASH.fullmatch(name) is not None


def is_name(name: str) -> bool:
    """Whether a voice can have this name: one part, or two parts joined by ``/``; see `check_name`."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """Returns the name. Raises `InvalidRequest` for one that no voice can have."""
    if not is_name(name):
        raise InvalidRequest(
            f"{name[:80]!r} is no voice name; names look like v2/en_speaker_6: letters, digits, _ and -, "
            "at most one slash, at most 64 characters on either side of it."
        )
    return name


def language_of(name: str) -> str | None:
    """The language in a name like ``v2/de_speaker_3``, as an ISO 639-1 code."""
    named = re.search(r"(?:^|/)([a-z]{2})_speaker_\d+$", name)
    return named[1] if named else None


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
    seconds = max(coarse.shape[1], fine.shape[1]) / spec.encodec.frame_rate_hz
    if seconds > MAX_VOICE_S:
        raise InvalidRequest(f"the voice is {seconds:.0f} s long; the limit is {MAX_VOICE_S} s.")
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
