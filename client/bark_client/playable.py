"""Samples at a rate, which can be saved to a file; a notebook shows them as a player."""

from __future__ import annotations

import base64
import html
import io
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from bark_client import audio
from bark_client.errors import InvalidRequest
from bark_client.growing import Writable, write_all, write_whole


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

    @overload
    def save(self, target: str | os.PathLike[str], *, format: str | None = None) -> Path: ...

    @overload
    def save(self, target: Writable, *, format: str) -> None: ...

    def save(self, target: str | os.PathLike[str] | Writable, *, format: str | None = None) -> Path | None:  # noqa: A002
        """Write an audio file and return its path; or write to an open file, or anything that has `write`.

        >>> speech.save("hello.flac")
        >>> speech.save(response, format="mp3")  # a file object, opened for bytes; it stays open

        Args:
            target: a path, or an object whose `write` takes bytes. It is written from its position on, without seeking.
            format: "wav", "flac", "ogg" or "mp3". Default: the suffix of the path. An object has none: say it.

        Raises:
            InvalidRequest: no such format, or none for an object.
            OSError: the file can't be written. A file that could not be written whole is deleted.
        """
        if isinstance(target, str | os.PathLike):
            path = Path(target)
            chosen = audio.check_format(format) if format else audio.format_of(path)
            write_whole(path, audio.encode(self.samples, sample_rate=self.sample_rate, format=chosen))
            return path
        if format is None:
            raise InvalidRequest(f"format: say one of {', '.join(audio.FORMATS)}; a file object has no suffix")
        if isinstance(target, io.TextIOBase):
            raise InvalidRequest("the file was opened for text; open it for bytes: mode 'wb'")
        write_all(target, audio.encode(self.samples, sample_rate=self.sample_rate, format=audio.check_format(format)))
        return None

    def _repr_html_(self) -> str:
        data = base64.b64encode(audio.encode(self.samples, sample_rate=self.sample_rate)).decode()
        title, caption = html.escape(self.title), html.escape(self.caption)
        return (
            f'<figure style="margin:0"><audio controls preload="metadata" src="data:audio/wav;base64,{data}"></audio>'
            f'<figcaption style="opacity:.7">{title}<br><small>{caption}</small></figcaption></figure>'
        )
