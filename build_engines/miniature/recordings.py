"""The teacher's recordings: all clips end to end in one memory-mapped file, and a list of where each one begins."""

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

MIN_PEAK = 0.01  #: of full scale; samples below it at either end of a recording count as silence
MARGIN_S = 0.06  #: of that silence, this much stays


@dataclass(frozen=True)
class Clip:
    """A sentence by a speaker. A cell is 1/25 s: 3 frames of the codec, 2 semantic tokens."""

    text: str
    speaker: int  #: index into the recipe's speakers
    start: int  #: first cell
    cells: int  #: length


@dataclass(frozen=True)
class Recordings:
    """All clips. `samples`: int16 [samples of all clips], memory-mapped."""

    clips: tuple[Clip, ...]
    samples: npt.NDArray[np.int16]
    rate: int

    def audio(self, clip: Clip) -> Floats:
        """A clip's audio: f32 [n] in [-1, 1]."""
        cell = self.rate // GRID_HZ
        part = self.samples[clip.start * cell : (clip.start + clip.cells) * cell]
        return part.astype(np.float32) / 32_768

    @property
    def cells(self) -> int:
        return self.clips[-1].start + self.clips[-1].cells

    def rows(self, table: npt.NDArray[Any], clip: Clip) -> npt.NDArray[Any]:
        """A clip's rows of a table of all clips. The table has the same number of rows for every cell."""
        per_cell = len(table) // self.cells
        return table[clip.start * per_cell : (clip.start + clip.cells) * per_cell]


def record(
    folder: Path, texts: Sequence[str], *, speak: Speak, recipe: Recipe, rate: int, on_clip: Callable[[int], None]
) -> None:
    """Record each text with the next speaker. A recording that was stopped halfway starts from the beginning again."""
    cell = rate // GRID_HZ
    clips: list[Clip] = []
    start = 0
    with (folder / "audio.part").open("wb") as file:
        for index, text in enumerate(texts):
            number = index % len(recipe.speakers)
            audio = trim_and_normalise(speak(text, recipe.speakers[number]), rate=rate)
            cells = -(-len(audio) // cell)
            if cells <= recipe.longest * GRID_HZ:
                padded = np.pad(audio, (0, cells * cell - len(audio)))
                file.write((padded * 32_767).astype("<i2").tobytes())
                clips.append(Clip(text=text, speaker=number, start=start, cells=cells))
                start += cells
            on_clip(1)
    (folder / "clips.json").write_text(json.dumps([asdict(clip) for clip in clips]))
    (folder / "audio.part").rename(folder / "audio.i16")


def read(folder: Path, *, rate: int) -> Recordings:
    """The recordings that `record` wrote."""
    clips: Iterable[dict[str, Any]] = json.loads((folder / "clips.json").read_text())
    samples = np.memmap(folder / "audio.i16", "<i2", mode="r")
    return Recordings(tuple(Clip(**clip) for clip in clips), samples, rate)


def trim_and_normalise(audio: Floats, *, rate: int) -> Floats:
    """Audio with at most `MARGIN_S` of silence at either end, at the loudness at which clips are cloned."""
    loud = np.flatnonzero(np.abs(audio) > MIN_PEAK)
    margin = round(MARGIN_S * rate)
    return normalise(audio[max(0, loud[0] - margin) : loud[-1] + margin], sample_rate=rate)
