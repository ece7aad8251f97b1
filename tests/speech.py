"""A clip of real speech for tests, at any sample rate, length and number of channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import soxr

from bark_serving.arrays import Floats

CLIP = Path(__file__).parent / "data/speech/north_wind.flac"


def speech(*, rate: int, seconds: float | None = None, channels: int = 1) -> Floats:
    """[channels, samples] of the clip, repeated if it is too short. A second channel is quieter than the first."""
    samples, recorded = soundfile.read(CLIP, dtype="float32")
    mono = np.asarray(soxr.resample(samples, recorded, rate), np.float32)
    if seconds is not None:
        mono = np.resize(mono, round(seconds * rate))
    return np.stack([mono * 0.8**channel for channel in range(channels)])
