"""A recipe that takes seconds, and a teacher that hums tones."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bark_serving.spec import Spec
from build_engines.miniature.clips import Clips
from build_engines.miniature.make import STEPS, make_miniature
from build_engines.miniature.phones import Phone, Speech
from build_engines.miniature.recipe import Recipe, Schedule, Speaker, spec_for
from build_engines.miniature.recordings import Clip, Recordings
from build_engines.miniature.sentences import letter_tokenizer

TEXTS = ("Good morning.", "How are you?", "It is 7 o'clock, and it rains.", "We go home now!", "I like tea.", "No.")
PHONES = (" ", ".", ",", *"abcdefghijklmnopqrstuvwxyz")
MIN_TONE_HZ = 80.0  #: of the tones that stand for letters
LETTER_S, PAUSE_S = 0.06, 0.3
SPEC = spec_for(Recipe(), tokens=letter_tokenizer().get_vocab_size())  #: of the miniature itself


def small_recipe(**numbers: object) -> Recipe:
    """Networks of a few thousand weights, three steps each."""
    spec = spec_for(Recipe(phones=PHONES), tokens=letter_tokenizer().get_vocab_size())
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
    networks = dict.fromkeys(("codec", "hubert", "semantic", "coarse", "fine", "fine_expected"), short)
    speakers = (Speaker(name="low", pitch=1.0), Speaker(name="high", pitch=2.0))
    return Recipe.model_validate(
        {
            "speakers": speakers,
            "phones": PHONES,
            "timed": 4,
            "spec": small,
            "codec_seconds": 0.24,
            "expected": 4,
            **networks,
            **numbers,
        }
    )


class Hum:
    """Speaks a tone of 60 ms per letter, with silence before and after."""

    def __init__(self, rate: int = 24_000) -> None:
        self._rate = rate

    def __call__(self, text: str, speaker: Speaker) -> Speech:
        letters = [MIN_TONE_HZ + zlib.crc32(letter.encode()) % 200 for letter in text]
        time = np.arange(round(LETTER_S * self._rate)) / self._rate
        tones = [0.3 * np.sin(2 * np.pi * speaker.pitch * hertz * time) for hertz in letters]
        silence = np.zeros(round(PAUSE_S * self._rate))
        return Speech(np.concatenate([silence, *tones, silence]).astype(np.float32), self.time(text, speaker))

    def time(self, text: str, speaker: Speaker) -> list[Phone]:
        starts = [PAUSE_S + LETTER_S * i for i in range(len(text) + 1)]
        letters = [Phone(letter, at, at + LETTER_S) for letter, at in zip(text.lower(), starts, strict=False)]
        return [Phone(".", 0.0, PAUSE_S), *letters, Phone(".", starts[-1], starts[-1] + PAUSE_S)]


@pytest.fixture(scope="module")
def few_sentences() -> Iterator[None]:
    """The teacher speaks only `TEXTS`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("build_engines.miniature.sentences._frequent_words", lambda: (["tree", "to"], [1, 100]))
        patch.setattr("build_engines.miniature.make.sentences", lambda **_: list(TEXTS))
        yield


def run(work: Path, out: Path, *, recipe: Recipe, until: str = STEPS[-1]) -> list[str]:
    """Make the miniature. Returns the steps that did something, in order."""
    done: list[str] = []
    make_miniature(
        out,
        work=work,
        recipe=recipe,
        teacher=Hum,
        until=until,
        on_progress=lambda step, *_: done.append(step),
    )
    return list(dict.fromkeys(done))


@pytest.fixture(scope="module")
def clips() -> Clips:
    """Six clips by one speaker, of 1, 3 and 6 s twice, with random tokens."""
    random = np.random.default_rng(0)
    cells, clips = 0, []
    for length in [25, 75, 150] * 2:
        units = random.integers(0, SPEC.semantic.vocab, 2 * length).tolist()
        clips.append(Clip(text="A sentence.", speaker=0, units=tuple(units), start=cells))
        cells += length
    samples = (random.standard_normal(cells * 960) * 3_000).astype(np.int16)
    codes = random.integers(0, 1_024, (3 * cells, 8)).astype(np.int32)
    return Clips(Recordings(tuple(clips), samples, 24_000), letter_tokenizer(), codes)
