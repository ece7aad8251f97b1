"""A recipe that takes seconds, and teachers that hum tones."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from bark_serving.arrays import Floats
from bark_serving.spec import Spec
from build_engines.miniature.make import STEPS, Teachers, make_miniature
from build_engines.miniature.recipe import Recipe, Schedule, Speaker, spec_for
from build_engines.miniature.sentences import letter_tokenizer

TEXTS = ("Good morning.", "How are you?", "It is 7 o'clock, and it rains.", "We go home now!", "I like tea.", "No.")
MIN_TONE_HZ = 80.0  #: of the tones that stand for letters


def small_recipe(**numbers: object) -> Recipe:
    """Networks of a few thousand weights, three steps each."""
    spec = spec_for(Recipe(units=16), tokens=letter_tokenizer().get_vocab_size())
    gpt = {"layers": 1, "heads": 2, "width": 8}
    small = Spec.model_validate(
        spec.model_dump()
        | {
            "semantic": spec.semantic.model_dump() | {"gpt": spec.semantic.gpt.model_dump() | gpt},
            "coarse": spec.coarse.model_dump() | {"gpt": spec.coarse.gpt.model_dump() | gpt},
            "fine": spec.fine.model_dump() | {"gpt": spec.fine.gpt.model_dump() | gpt},
            "encodec": spec.encodec.model_dump() | {"filters": 2, "dimension": 4},
        }
    )
    short = Schedule(steps=4, batch=2, rate=1e-3, warmup=1)
    networks = dict.fromkeys(("codec", "hubert", "semantic", "coarse", "fine"), short)
    speakers = (Speaker(name="low", pitch=1.0), Speaker(name="high", pitch=2.0))
    return Recipe.model_validate(
        {"speakers": speakers, "units": 16, "spec": small, "codec_seconds": 0.24, **networks, **numbers}
    )


def hum(text: str, speaker: Speaker, *, rate: int = 24_000) -> Floats:
    """A tone of 60 ms per letter, with silence before and after."""
    letters = [MIN_TONE_HZ + zlib.crc32(letter.encode()) % 200 for letter in text]
    time = np.arange(round(0.06 * rate)) / rate
    tones = [0.3 * np.sin(2 * np.pi * speaker.pitch * hertz * time) for hertz in letters]
    silence = np.zeros(round(0.3 * rate))
    return np.concatenate([silence, *tones, silence]).astype(np.float32)


def listen(clips: Sequence[Floats]) -> list[Floats]:
    """One spectrum per 20 ms, as features."""
    features = []
    for clip in clips:
        frames = clip[: len(clip) // 320 * 320].reshape(-1, 320)
        features.append(np.log(np.abs(np.fft.rfft(frames))[:, 1:9] + 1e-3).astype(np.float32))
    return features


TEACHERS = Teachers(speak=lambda rate: lambda text, speaker: hum(text, speaker, rate=rate), listen=lambda: listen)


@pytest.fixture(scope="module")
def few_sentences() -> Iterator[None]:
    """The teacher speaks only `TEXTS`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("build_engines.miniature.make.sentences", lambda **_: list(TEXTS))
        yield


def run(work: Path, out: Path, *, recipe: Recipe, until: str = STEPS[-1]) -> list[str]:
    """Make the miniature. Returns the steps that did something, in order."""
    done: list[str] = []
    make_miniature(
        out,
        work=work,
        recipe=recipe,
        teachers=TEACHERS,
        until=until,
        on_progress=lambda step, *_: done.append(step),
    )
    return list(dict.fromkeys(done))
