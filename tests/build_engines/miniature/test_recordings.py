"""Recordings are stored in whole cells, and every clip has the tokens of its phones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bark_serving.voices.clip_quality import TARGET_LEVEL_DBFS, speech_level
from build_engines.miniature import recordings as recording
from build_engines.miniature.phones import TAIL_S
from build_engines.miniature.recordings import Recordings, trim_and_normalise
from tests.build_engines.miniature.conftest import LETTER_S, PAUSE_S, PHONES, TEXTS, Hum, small_recipe

RATE = 24_000
RECIPE = small_recipe()


@pytest.fixture
def recorded(tmp_path: Path) -> Recordings:
    recording.record(tmp_path, TEXTS, speak=Hum(), recipe=RECIPE, rate=RATE, on_clip=lambda _: None)
    return recording.read(tmp_path, rate=RATE)


def test_clips_are_whole_cells_end_to_end_with_alternating_speakers(recorded: Recordings) -> None:
    start = 0
    for number, (clip, text) in enumerate(zip(recorded.clips, TEXTS, strict=True)):
        assert (clip.text, clip.speaker, clip.start) == (text, number % 2, start)
        spoken = trim_and_normalise(Hum()(text, RECIPE.speakers[clip.speaker]), rate=RATE)
        assert clip.cells == -(-len(spoken) // 960)
        start += clip.cells
    assert len(recorded.samples) == start * 960 == recorded.cells * 960


def test_a_clip_is_what_was_spoken_and_a_short_pause(recorded: Recordings) -> None:
    clip = recorded.clips[2]
    spoken = trim_and_normalise(Hum()(clip.text, RECIPE.speakers[0]), rate=RATE)
    stored = recorded.audio(clip)
    np.testing.assert_allclose(stored[: len(spoken)], spoken, atol=1e-4)
    assert not stored[len(spoken) :].any()
    letters = len(clip.text.rstrip("."))
    assert len(spoken) / RATE == pytest.approx(PAUSE_S + LETTER_S * letters + TAIL_S, abs=0.01)
    assert speech_level(spoken, sample_rate=RATE) == pytest.approx(TARGET_LEVEL_DBFS, abs=0.5)


def test_a_recording_that_is_too_long_is_left_out(tmp_path: Path) -> None:
    recipe = small_recipe(longest=0.7)
    recording.record(tmp_path, TEXTS, speak=Hum(), recipe=recipe, rate=RATE, on_clip=lambda _: None)
    assert [clip.text for clip in recording.read(tmp_path, rate=RATE).clips] == ["No."]
    recording.record_times(tmp_path, TEXTS, time=Hum().time, recipe=recipe, on_clip=lambda _: None)
    assert [clip.text for clip in recording.read_times(tmp_path)] == ["No."]


def test_a_clip_has_the_same_tokens_with_and_without_audio(recorded: Recordings, tmp_path: Path) -> None:
    recording.record_times(tmp_path, TEXTS, time=Hum().time, recipe=RECIPE, on_clip=lambda _: None)
    timed = recording.read_times(tmp_path)
    assert [clip.units for clip in timed] == [clip.units for clip in recorded.clips]
    # a letter of 60 ms is its three parts, 20 ms each; before it is the pause, after it another one
    first, letter = round(PAUSE_S * 50), 3 * PHONES.index("n")
    assert timed[-1].text == "No." and timed[-1].units[first : first + 3] == (letter, letter + 1, letter + 2)
    pause = 3 * PHONES.index(".")
    assert timed[-1].units[:first] == (pause,) * 5 + (pause + 1,) * 5 + (pause + 2,) * 5
