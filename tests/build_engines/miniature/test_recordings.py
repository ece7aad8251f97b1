"""Recordings are stored in whole cells, and every clip gets its semantic tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from bark_serving.arrays import Floats
from bark_serving.voices.clip_quality import TARGET_LEVEL_DBFS, speech_level
from build_engines.miniature import recordings as recording
from build_engines.miniature.recordings import Recordings, trim_and_normalise
from build_engines.miniature.teacher import GAP_FRAMES, WHISPER_S
from build_engines.miniature.units import UNITS_HZ, clip_groups, extract_features, k_means, nearest, units
from tests.build_engines.miniature.conftest import TEXTS, hum, listen, small_recipe

RATE = 24_000


@pytest.fixture
def recorded(tmp_path: Path) -> Recordings:
    recording.record(tmp_path, TEXTS, speak=hum, recipe=small_recipe(), rate=RATE, on_clip=lambda _: None)
    return recording.read(tmp_path, rate=RATE)


def test_clips_are_whole_cells_end_to_end_with_alternating_speakers(recorded: Recordings) -> None:
    start = 0
    for number, (clip, text) in enumerate(zip(recorded.clips, TEXTS, strict=True)):
        assert (clip.text, clip.speaker, clip.start) == (text, number % 2, start)
        assert clip.cells == -(
            -len(trim_and_normalise(hum(text, small_recipe().speakers[clip.speaker]), rate=RATE)) // 960
        )
        start += clip.cells
    assert len(recorded.samples) == start * 960 == recorded.cells * 960


def test_a_clip_is_what_was_spoken_without_the_silence(recorded: Recordings) -> None:
    clip = recorded.clips[2]
    spoken = trim_and_normalise(hum(clip.text, small_recipe().speakers[0]), rate=RATE)
    stored = recorded.audio(clip)
    np.testing.assert_allclose(stored[: len(spoken)], spoken, atol=1e-4)
    assert not stored[len(spoken) :].any()
    assert len(spoken) / RATE == pytest.approx(0.06 * len(clip.text) + 2 * recording.MARGIN_S, abs=0.01)
    assert speech_level(spoken, sample_rate=RATE) == pytest.approx(TARGET_LEVEL_DBFS, abs=0.5)


def test_a_recording_that_is_too_long_is_left_out(tmp_path: Path) -> None:
    recipe = small_recipe(longest=0.7)
    recording.record(tmp_path, TEXTS, speak=hum, recipe=recipe, rate=RATE, on_clip=lambda _: None)
    assert [clip.text for clip in recording.read(tmp_path, rate=RATE).clips] == ["No."]


def test_groups_hold_every_clip_once_and_fit_the_encoder(recorded: Recordings) -> None:
    many = Recordings(recorded.clips * 40, recorded.samples, RATE)
    groups = list(clip_groups(many))
    assert [clip for group in groups for clip in group] == list(many.clips)
    assert len(groups) > 1
    for group in groups:
        assert sum(2 * clip.cells + GAP_FRAMES for clip in group) + GAP_FRAMES <= WHISPER_S * UNITS_HZ


def test_semantic_tokens_cover_every_clip_and_follow_the_sounds(recorded: Recordings) -> None:
    features = extract_features(recorded, listen=listen, on_clip=lambda _: None)
    assert features.shape == (2 * recorded.cells, 8)
    tokens = units(features, count=8, seed=0)
    assert len(tokens) == 2 * recorded.cells and set(tokens) == set(range(8))
    # the tone of a letter lasts three frames, so most neighbours are the same token
    assert (tokens[1:] == tokens[:-1]).mean() > 0.4


def test_features_do_not_depend_on_a_clips_position_in_a_call(recorded: Recordings) -> None:
    def with_position(clips: Sequence[Floats]) -> list[Floats]:
        features, start = listen(clips), GAP_FRAMES
        for part in features:
            part[:, 0] = (start + np.arange(len(part))) // 10  # depends on the position only
            start += len(part) + GAP_FRAMES
        return features

    many = Recordings(recorded.clips * 400, recorded.samples, RATE)
    plain, biased = (extract_features(many, listen=how, on_clip=lambda _: None) for how in (listen, with_position))
    np.testing.assert_array_equal(plain[:, 1:], biased[:, 1:])
    plain_spread, biased_spread = (features[:, 0].astype(np.float32).std() for features in (plain, biased))
    assert plain_spread > 0.8 and biased_spread < 0.3


def test_k_means_finds_clusters_that_lie_apart() -> None:
    random = torch.Generator().manual_seed(0)
    true_centres = torch.randn(5, 3, generator=random) * 10
    points = (true_centres[:, None] + torch.randn(5, 200, 3, generator=random) * 0.1).flatten(0, 1)
    centres = k_means(points, 12, seed=1)
    assert ((points - centres[nearest(points, centres)]) ** 2).sum(1).mean() < 0.1
