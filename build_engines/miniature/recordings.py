"""The teacher's recordings: all clips end to end in one memory-mapped file, and a list of what each one is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bark_serving.arrays import Floats
from bark_serving.voices.clip_quality import normalise
from build_engines.miniature.phones import Phone, Speech, end_of_speech, tokens_of
from build_engines.miniature.recipe import GRID_HZ, UNITS_PER_CELL, Recipe, Speaker

#: Speaks a text, at the codec's rate.
Speak = Callable[[str, Speaker], Speech]
#: The phones of a text as a speaker would speak it.
Time = Callable[[str, Speaker], Sequence[Phone]]


@dataclass(frozen=True)
class Clip:
    """A sentence by a speaker. A cell is 1/25 s: 3 frames of the codec, 2 semantic tokens."""

    text: str
    speaker: int  #: index into the recipe's speakers
    units: tuple[int, ...]  #: semantic tokens
    start: int  #: first cell in the audio; 0 if it has none

    @property
    def cells(self) -> int:
        """Its length."""
        return len(self.units) // UNITS_PER_CELL


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
        return len(self.samples) // (self.rate // GRID_HZ)

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
        for text, speaker in _by_turns(texts, recipe):
            speech = speak(text, recipe.speakers[speaker])
            if units := _units(speech.phones, recipe):
                clips.append(Clip(text, speaker, units, start))
                audio = trim_and_normalise(speech, rate=rate)[: clips[-1].cells * cell]
                padded = np.pad(audio, (0, clips[-1].cells * cell - len(audio)))
                file.write((padded * 32_767).astype("<i2").tobytes())
                start += clips[-1].cells
            on_clip(1)
    _write(folder / "clips.json", clips)
    (folder / "audio.part").rename(folder / "audio.i16")


def record_times(
    folder: Path, texts: Sequence[str], *, time: Time, recipe: Recipe, on_clip: Callable[[int], None]
) -> None:
    """Time each text as the next speaker would speak it. These clips have semantic tokens and no audio."""
    clips: list[Clip] = []
    for text, speaker in _by_turns(texts, recipe):
        if units := _units(time(text, recipe.speakers[speaker]), recipe):
            clips.append(Clip(text, speaker, units, 0))
        on_clip(1)
    _write(folder / "timed.json", clips)


def read(folder: Path, *, rate: int) -> Recordings:
    """The recordings that `record` wrote."""
    return Recordings(_read(folder / "clips.json"), np.memmap(folder / "audio.i16", "<i2", mode="r"), rate)


def read_times(folder: Path) -> tuple[Clip, ...]:
    """The clips that `record_times` wrote."""
    return _read(folder / "timed.json")


def trim_and_normalise(speech: Speech, *, rate: int) -> Floats:
    """The audio up to the end of speech, at the loudness at which clips are cloned."""
    return normalise(speech.audio[: round(end_of_speech(speech.phones) * rate)], sample_rate=rate)


def _by_turns(texts: Sequence[str], recipe: Recipe) -> Iterator[tuple[str, int]]:
    """Each text with the number of its speaker."""
    return ((text, index % len(recipe.speakers)) for index, text in enumerate(texts))


def _units(phones: Sequence[Phone], recipe: Recipe) -> tuple[int, ...]:
    """Semantic tokens up to the end of speech, in whole cells; none if there is too much speech for the recipe."""
    cells = int(np.ceil(round(end_of_speech(phones) * GRID_HZ, 3)))
    if cells > recipe.longest * GRID_HZ:
        return ()
    return tuple(tokens_of(phones, cells * UNITS_PER_CELL, recipe=recipe).tolist())


def _write(path: Path, clips: Iterable[Clip]) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps([asdict(clip) for clip in clips]))
    part.rename(path)


def _read(path: Path) -> tuple[Clip, ...]:
    clips: Iterable[dict[str, Any]] = json.loads(path.read_text())
    return tuple(Clip(**(clip | {"units": tuple(clip["units"])})) for clip in clips)
