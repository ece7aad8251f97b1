"""Voices for tests."""

from __future__ import annotations

import numpy as np

from bark_serving.spec import Spec
from bark_serving.voices import Voice, voice_from_arrays

SPEC = Spec(name="released")


def arrays(seed: int = 0, *, tokens: int = 100) -> dict[str, np.ndarray]:
    """The arrays of a voice that differs by seed."""
    rng = np.random.default_rng(seed)
    frames = tokens * 3 // 2
    fine = rng.integers(0, 1024, (8, frames))
    return {
        "semantic_prompt": rng.integers(0, 10_000, tokens),
        "coarse_prompt": fine[:2].copy(),
        "fine_prompt": fine,
    }


def voice(seed: int = 0, *, tokens: int = 100) -> Voice:
    return voice_from_arrays(arrays(seed, tokens=tokens), spec=SPEC)
