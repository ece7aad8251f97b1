"""Silence between pieces of speech, and fades where speech meets silence or other speech."""

from __future__ import annotations

import numpy as np

from bark_serving.arrays import Floats

FADE_S = 0.005


def silence(seconds: float, *, rate: int) -> Floats:
    """[samples] of silence. rate: Hz."""
    return np.zeros(round(seconds * rate), np.float32)


class Seams:
    """Fades the audio of one piece in and out, over `FADE_S` with a raised cosine, so that nothing clicks at its ends.

    begin, end: whether that end meets other audio. Without them the audio passes as it is. rate: Hz.
    """

    def __init__(self, *, rate: int, begin: bool, end: bool) -> None:
        size = round(FADE_S * rate)
        self._rise = (0.5 - 0.5 * np.cos(np.pi * (np.arange(size) + 0.5) / size)).astype(np.float32)
        self._risen = 0 if begin else size  # samples of the fade that are done
        self._held = np.empty(0, np.float32)  # may be the end of the piece
        self._end = end

    def feed(self, audio: Floats, *, last: bool) -> Floats:
        """The next samples of the piece, in and out; up to `FADE_S` stay here until more or the last ones come."""
        audio = np.concatenate([self._held, self._fade_in(audio)])
        if not self._end:
            return audio
        if not last:
            keep = max(0, len(audio) - len(self._rise))
            self._held = audio[keep:]
            return audio[:keep]
        size = min(len(self._rise), len(audio))
        if size:
            audio[-size:] *= self._rise[:size][::-1]
        return audio

    def _fade_in(self, audio: Floats) -> Floats:
        rise = self._rise[self._risen : self._risen + len(audio)]
        self._risen += len(rise)
        return np.concatenate([audio[: len(rise)] * rise, audio[len(rise) :]])
