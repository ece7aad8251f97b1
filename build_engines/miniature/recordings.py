"""The teacher's recordings: all clips end to end in one memory-mapped file, and a list of what is where."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bark_serving.arrays import Floats
from bark_serving.voices.clip_quality import normalise
from build_engines.miniature.recipe import GRID_HZ, Recipe, Speaker

#: (text, speaker) → audio f32 [n] at the codec's rate
Speak = Callable[[str, Speaker], Floats]

QUIET = 0.01  #: of full scale; what is quieter at either end of a recording is cut
MARGIN = 0.06  #: seconds of it that stay


@dataclass(frozen=True)
class Clip:
    """A sentence by a speaker. Sizes are in cells of 1/25 s: 3 frames of the codec, 2 semantic tokens."""

    text: str
    speaker: int
    start: int
    cells: int


@dataclass(frozen=True)
class Recordings:
    """All clips: `samples` int16 [all samples], memory-mapped."""

    clips: tuple[Clip, ...]
    samples: npt.NDArray[np.int16]
    rate: int

    def audio(self, clip: Clip) -> Floats:
        """f32 [n] in [-1, 1]."""
        cell = self.rate // GRID_HZ
        part = self.samples[clip.start * cell : (clip.start + clip.cells) * cell]
        return part.astype(np.float32) / 32_768

    @property
    def cells(self) -> int:
        return self.clips[-1].start + self.clips[-1].cells

    def rows(self, table: npt.NDArray[Any], clip: Clip) -> npt.NDArray[Any]:
        """A clip's part of a table over all clips, whose first axis is a multiple of the cells."""
        times = len(table) // self.cells
        return table[clip.start * times : (clip.start + clip.cells) * times]


def record(
    folder: Path, texts: Sequence[str], *, speak: Speak, recipe: Recipe, rate: int, on_clip: Callable[[int], None]
) -> None:
    """Let the speakers say the texts in turns. What is left when stopped halfway is begun again."""
    cell = rate // GRID_HZ
    clips: list[Clip] = []
    at = 0
    with (folder / "audio.part").open("wb") as file:
        for index, text in enumerate(texts):
            number = index % len(recipe.speakers)
            audio = tidy(speak(text, recipe.speakers[number]), rate=rate)
            cells = -(-len(audio) // cell)
            if cells <= recipe.longest * GRID_HZ:
                padded = np.pad(audio, (0, cells * cell - len(audio)))
                file.write((padded * 32_767).astype("<i2").tobytes())
                clips.append(Clip(text=text, speaker=number, start=at, cells=cells))
                at += cells
            on_clip(1)
    (folder / "clips.json").write_text(json.dumps([asdict(clip) for clip in clips]))
    (folder / "audio.part").rename(folder / "audio.i16")


def read(folder: Path, *, rate: int) -> Recordings:
    """What `record` left."""
    clips: Iterable[dict[str, Any]] = json.loads((folder / "clips.json").read_text())
    samples = np.memmap(folder / "audio.i16", "<i2", mode="r")
    return Recordings(tuple(Clip(**clip) for clip in clips), samples, rate)


def tidy(audio: Floats, *, rate: int) -> Floats:
    """Cut the silence at the ends down to `MARGIN`, bring the rest to the loudness that clips are cloned at."""
    loud = np.flatnonzero(np.abs(audio) > QUIET)
    margin = round(MARGIN * rate)
    return normalise(audio[max(0, loud[0] - margin) : loud[-1] + margin], sample_rate=rate)
