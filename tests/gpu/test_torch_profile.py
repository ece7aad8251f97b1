"""The torch profile on a GPU, in fp32: every stage has the same output as on the CPU, at every batch of a graph."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bark_serving.arrays import Array
from bark_serving.bundle import Bundle, mapped
from bark_serving.decoding.loop import DecodeLoop
from bark_serving.decoding.sampling import Sampling
from bark_serving.decoding.sequence import Generation
from bark_serving.profiles import Stage
from bark_serving.runtimes.factory import RuntimeSettings, open_gpts, open_network
from bark_serving.spec import GptStage
from tests.bundles import random_bundle, small_spec

pytestmark = pytest.mark.gpu
MIN_SAME_FRAMES = 0.999  #: share of frames that must agree; in the others, two codes may differ by rounding only


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return random_bundle(tmp_path_factory.mktemp("gpu"), small_spec())


def settings_of(bundle: Bundle, device: str) -> RuntimeSettings:
    return RuntimeSettings("torch", "fp32", bundle, None, [device], threads=torch.get_num_threads())


def greedy_tokens(bundle: Bundle, stage: GptStage, device: str, *, batch: int) -> list[list[int]]:
    """Decode `batch` sequences of different lengths at once. As they end, smaller batches run."""
    [sampler] = open_gpts(stage, settings_of(bundle, device), max_batch=batch)
    embeddings = mapped(bundle.weights(stage), "token_embedding.weight")
    loop = DecodeLoop(sampler)
    answers = []
    for row in range(batch):
        ids = np.random.default_rng(row).integers(0, 10_000, 40 + 7 * row).astype(np.int32)
        generation = Generation(np.asarray(embeddings[ids]), ids, 12 + 2 * row, Sampling(temperature=0.0, seed=row))
        answers.append(loop.submit(generation))
    try:
        return [answer.result(timeout=300).tolist() for answer in answers]
    finally:
        loop.close()


@pytest.mark.parametrize("batch", [1, 8, 32])
@pytest.mark.parametrize("stage", ["semantic", "coarse"])
def test_greedy_tokens_on_the_gpu_are_those_on_the_cpu(
    bundle: Bundle, device: str, stage: GptStage, batch: int
) -> None:
    ours, expected = (greedy_tokens(bundle, stage, where, batch=batch) for where in (device, "cpu"))
    assert ours == expected
    assert len(set(map(tuple, expected))) == batch and all(expected)


def answers(bundle: Bundle, stage: Stage, device: str, inputs: dict[str, Array], output: str) -> Array:
    network = open_network(stage, settings_of(bundle, device), device=device)
    answer: Array = np.asarray(network(inputs, [output])[output])
    return answer


@pytest.mark.parametrize("batch", [1, 8, 32])
def test_fine_codes_on_the_gpu_are_those_on_the_cpu(bundle: Bundle, device: str, batch: int) -> None:
    rng, spec = np.random.default_rng(0), bundle.spec
    inputs = {
        "codes": rng.integers(0, spec.encodec.codebook_size, (batch, spec.encodec.codebooks, 64), np.int32),
        "codebook": np.full((batch, 1), spec.coarse.codebooks, np.int32),
        "temperature": np.zeros((batch, 1), np.float32),
        "uniforms": np.zeros((batch, 64), np.float32),
    }
    ours, expected = (answers(bundle, "fine", where, inputs, "predictions") for where in (device, "cpu"))
    assert ours.shape == (batch, 64) and (ours == expected).mean() >= MIN_SAME_FRAMES


def test_audio_on_the_gpu_is_that_on_the_cpu(bundle: Bundle, device: str) -> None:
    codes = np.random.default_rng(0).integers(0, 1024, (2, 8, 75), np.int32)
    ours, expected = (answers(bundle, "encodec_decode", where, {"codes": codes}, "audio") for where in (device, "cpu"))
    np.testing.assert_allclose(ours, expected, atol=1e-4)
    assert np.abs(expected).max() > 1e-3


@pytest.mark.parametrize(("stage", "output"), [("encodec_encode", "codes"), ("hubert", "tokens")])
def test_a_clip_on_the_gpu_has_the_tokens_of_the_cpu(bundle: Bundle, device: str, stage: Stage, output: str) -> None:
    audio = np.random.default_rng(0).normal(scale=0.1, size=(1, 320 * 100)).astype(np.float32)
    ours, expected = (answers(bundle, stage, where, {"audio": audio}, output) for where in (device, "cpu"))
    assert ours.shape == expected.shape and (ours == expected).mean() >= 0.99
