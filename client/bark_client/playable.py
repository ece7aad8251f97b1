"""Samples at a rate, which can be saved to a file; a notebook shows them as a player."""

from __future__ import annotations

import base64
import html
import os
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bark_client import audio


class Playable(ABC):
    """The base of Speech and VoicePreview."""

    samples: NDArray[np.float32]  #: [n], -1..1, mono
    sample_rate: int  #: in Hz
    sentence_starts: tuple[float, ...] = ()  #: seconds

    @property
    @abstractmethod
    def title(self) -> str:
        """A short name for it."""

    @property
    @abstractmethod
    def caption(self) -> str:
        """Its numbers, on one line."""

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return self.samples.size / self.sample_rate

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write an audio file; the suffix (.wav, .flac, .ogg, .mp3) chooses the format."""
        target = Path(path)
        data = audio.encode(self.samples, sample_rate=self.sample_rate, format=audio.format_of(target))
        target.write_bytes(data)
        return target

    def _repr_html_(self) -> str:
        data = base64.b64encode(audio.encode(self.samples, sample_rate=self.sample_rate)).decode()
        title, caption = html.escape(self.title), html.escape(self.caption)
        return (
            f'<figure style="margin:0"><audio controls preload="metadata" src="data:audio/wav;base64,{data}"></audio>'
            f'<figcaption style="opacity:.7">{title}<br><small>{caption}</small></figcaption></figure>'
        )
