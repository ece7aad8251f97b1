"""The shapes of plans cover the requests of a server, and little more."""

from __future__ import annotations

import numpy as np
import pytest

from bark_serving.layouts import coarse
from bark_serving.networks import build
from bark_serving.spec import GptStage, SemanticSpec, Spec
from bark_serving.voices import cloning
from bark_serving.voices.cloning import shortest_wave
from build_engines.export.graphs import GRAPHS
from build_engines.tensorrt.shapes import extents, longest_sentence, shapes
from tests.build_engines.tensorrt.conftest import NETWORK_STAGES

SPEC = Spec(name="numbers")


def test_the_longest_sentence_fits() -> None:
    frames = coarse.step_count(SPEC.semantic.max_steps, spec=SPEC) // SPEC.coarse.codebooks
    assert frames <= longest_sentence(SPEC) <= shapes("encodec_decode", SPEC)["frames"][2]


@pytest.mark.parametrize("seconds", [29.95, 29.97, 30.0])
def test_a_clip_of_thirty_seconds_fits(seconds: float) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (1, round(seconds * 24_000)))
    clip = cloning.prepare(noise, sample_rate=24_000, spec=SPEC)
    for stage, samples in (("hubert", clip.hubert), ("encodec_encode", clip.encodec)):
        shortest, usual, longest = shapes(stage, SPEC)["samples"]  # type: ignore[arg-type]
        assert shortest < usual < len(samples) <= longest


def test_the_ranges_of_the_released_networks() -> None:
    assert shapes("encodec_encode", SPEC)["samples"] == (7 * 320, 10 * 24_000, 30 * 24_000)
    assert shapes("hubert", SPEC)["samples"] == (400, 10 * 16_000, (30 * 50 - 1) * 320 + 400)
    assert shapes("encodec_decode", SPEC)["frames"] == (7, 750, 2_250)


def test_the_ranges_follow_the_spec() -> None:
    longer = SPEC.model_copy(update={"semantic": SemanticSpec(max_steps=5_000)})
    assert shapes("encodec_decode", longer)["frames"][2] == longest_sentence(longer) > 7_500


def test_the_shortest_wave_is_the_shortest_that_gives_a_frame() -> None:
    import torch

    samples = shortest_wave(SPEC)
    assert samples == 400
    with torch.device("meta"):
        extractor = build("hubert", SPEC).feature_extractor
        assert extractor(torch.empty(1, samples)).shape[-1] == 1
        with pytest.raises(RuntimeError, match="Kernel size"):
            extractor(torch.empty(1, samples - 1))


@pytest.mark.parametrize("stage", NETWORK_STAGES)
def test_every_free_axis_has_a_range_and_nothing_else_has(stage: str) -> None:
    inputs = GRAPHS[stage].inputs(SPEC)  # type: ignore[index]
    free = {axis for info in inputs.values() for axis in info.axes if isinstance(axis, str)}
    ranges = shapes(stage, SPEC)  # type: ignore[arg-type]
    assert free == set(ranges)
    for name, (minimum, optimum, maximum) in extents(inputs, ranges).items():
        assert len(minimum) == len(inputs[name].axes)
        assert all(a <= b <= c for a, b, c in zip(minimum, optimum, maximum, strict=True))


@pytest.mark.parametrize("stage", ["semantic", "coarse"])
def test_a_gpt_takes_every_position_that_its_network_has(stage: GptStage) -> None:
    block_size = SPEC.gpt(stage).block_size
    assert shapes(stage, SPEC)["sequence"] == (1, 512, block_size)
    assert 0 < shapes(stage, SPEC)["batch"][0] <= 8 <= shapes(stage, SPEC)["batch"][2]


def test_a_bundle_without_hubert_has_no_shapes_for_it() -> None:
    with pytest.raises(ValueError, match="hubert is not a stage that TensorRT runs"):
        shapes("hubert", SPEC.model_copy(update={"hubert": None}))
