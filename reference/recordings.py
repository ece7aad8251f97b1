"""Sentences that no training saw, and the teacher's recordings of the first of them, to compare speech with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import soxr

from bark_serving.arrays import Floats
from bark_serving.bundle import Bundle
from bark_serving.errors import UserError

_DATA = Path(__file__).parents[1] / "tests/data/miniature"
SENTENCES = _DATA / "unseen.txt"  #: one per line
TEACHER = _DATA / "teacher"  #: <speaker>/<number of the sentence, two digits>.ogg


@dataclass(frozen=True, eq=False)
class Clip:
    """A spoken sentence. It may have no samples, if speech ended before it began."""

    text: str
    samples: Floats  #: [n], -1..1, mono
    rate: int  #: Hz


def sentences(count: int, *, path: Path = SENTENCES) -> list[str]:
    """The first ``count`` sentences of a file. Raises `UserError` if it has fewer."""
    found = path.read_text(encoding="utf-8").splitlines()
    if len(found) < count:
        raise UserError(f"{path.name} has {len(found)} sentences; {count} were asked for.", remedy="Ask for fewer.")
    return found[:count]


def by_teacher(said: Sequence[str], *, folder: Path = TEACHER) -> dict[str, list[Clip]]:
    """By speaker of a folder: the recordings that it has of the sentences.

    Raises `UserError` if there are none, or if one cannot be read.
    """
    found: dict[str, list[Clip]] = {}
    for path in sorted(folder.glob("*/[0-9][0-9].ogg")):
        if int(path.stem) < len(said):
            found.setdefault(path.parent.name, []).append(_read(path, said[int(path.stem)]))
    if not found:
        raise UserError(
            f"{folder} has no recordings of these sentences.", remedy="Put them into it as SPEAKER/00.ogg, 01.ogg, …"
        )
    return found


def _read(path: Path, text: str) -> Clip:
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise UserError(f"{path} cannot be read: {error.error_string}") from error
    return Clip(text, samples.mean(axis=1), rate)


def through_codec(clips: Mapping[str, Sequence[Clip]], bundle: Bundle) -> dict[str, list[Clip]]:
    """Recordings after encoding and decoding with the bundle's codec: the best that perfect tokens could sound."""
    import torch  # slow to import

    from bark_serving.networks import Encodec, load

    codec = load("encodec", bundle)
    assert isinstance(codec, Encodec)
    sizes = bundle.spec.encodec

    def coded(clip: Clip) -> Clip:
        samples = np.asarray(soxr.resample(clip.samples, clip.rate, sizes.sample_rate), np.float32)
        padded = np.pad(samples, (0, -len(samples) % sizes.samples_per_frame))
        with torch.inference_mode():
            audio = codec.decode(codec.encode(torch.from_numpy(padded)[None]))[0].numpy()
        return replace(clip, samples=audio[: len(samples)], rate=sizes.sample_rate)

    return {speaker: [coded(clip) for clip in said] for speaker, said in clips.items()}
