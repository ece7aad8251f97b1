"""A voice: its three arrays and the rules for them, and its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bark_serving.arrays import Array, Ids
from bark_serving.errors import InvalidRequest
from bark_serving.spec import Spec
from bark_serving.voices.limits import MAX_VOICE_S
from bark_serving.voices.names import HASH_PREFIX

ARRAYS = ("semantic_prompt", "coarse_prompt", "fine_prompt")


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


def voice_from_arrays(
    arrays: Mapping[str, Array], *, spec: Spec, remedy: str = "clone the voice again, or export it again"
) -> Voice:
    """Check the three arrays as Bark's own code does and make a voice of them.

    Arrays of whole floats count as integers. Raises `InvalidRequest`, which ends with the remedy.
    """
    try:
        return _checked(arrays, spec=spec)
    except InvalidRequest as error:
        raise InvalidRequest("; ".join(filter(None, (error.args[0], remedy))) + ".") from None


def _checked(arrays: Mapping[str, Array], *, spec: Spec) -> Voice:
    missing = [name for name in ARRAYS if name not in arrays]
    if missing:
        raise InvalidRequest(f"the voice lacks {', '.join(missing)}; a voice needs {', '.join(ARRAYS)}")
    codebook = spec.encodec.codebook_size
    semantic = _tokens("semantic_prompt", arrays["semantic_prompt"], rows=None, limit=spec.semantic.vocab)
    coarse = _tokens("coarse_prompt", arrays["coarse_prompt"], rows=spec.coarse.codebooks, limit=codebook)
    fine = _tokens("fine_prompt", arrays["fine_prompt"], rows=spec.encodec.codebooks, limit=codebook)
    expected = spec.semantic_to_coarse / spec.coarse.codebooks
    ratio = coarse.shape[1] / len(semantic)
    if round(ratio, 1) != round(expected, 1):
        raise InvalidRequest(
            f"coarse_prompt has {coarse.shape[1]} frames for {len(semantic)} semantic tokens, a ratio of {ratio:.2f}; "
            f"both must cover the same time, a ratio of {expected:.1f}"
        )
    if fine.shape[1] != coarse.shape[1]:
        raise InvalidRequest(
            f"fine_prompt has {fine.shape[1]} frames and coarse_prompt {coarse.shape[1]}; both must have the same"
        )
    seconds = fine.shape[1] / spec.encodec.frame_rate_hz
    if seconds > MAX_VOICE_S:
        raise InvalidRequest(f"the voice is {seconds:.0f} s long; the limit is {MAX_VOICE_S} s")
    return Voice(semantic=semantic, coarse=coarse, fine=fine)


def _tokens(name: str, array: Array, *, rows: int | None, limit: int) -> Ids:
    shape = "[tokens]" if rows is None else f"[{rows}, frames]"
    if array.ndim != (1 if rows is None else 2) or (rows is not None and array.shape[0] != rows):
        raise InvalidRequest(f"{name} has shape {list(array.shape)}; it must be {shape}")
    if array.dtype.kind not in "iuf":
        raise InvalidRequest(f"{name} is of type {array.dtype}; it must hold integers")
    if array.size == 0:
        raise InvalidRequest(f"{name} is empty; it must be {shape} with at least one column")
    if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.floor(array))).all():
        raise InvalidRequest(f"{name} holds numbers that are not whole; it must hold integers")
    if array.min() < 0 or array.max() >= limit:
        raise InvalidRequest(f"{name} holds {array.min()}..{array.max()}; its tokens must be in 0..{limit - 1}")
    return array.astype(np.int32)
