"""The torch GPT: the cpu profile's tokens, sampling on the device, batches, half precision."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
import torch

from bark_serving.bundle import Bundle, mapped
from bark_serving.decoding.buckets import padded_rows
from bark_serving.decoding.loop import DecodeLoop
from bark_serving.decoding.rules import rule_of
from bark_serving.decoding.sampler import NumpySampler, Sampler, SampleRequest
from bark_serving.decoding.sampling import Sampling
from bark_serving.decoding.sequence import Generation
from bark_serving.engines.store import EngineStore
from bark_serving.networks import Gpt, load
from bark_serving.profiles import Precision
from bark_serving.runtimes.onnx_gpt import OnnxGpt
from bark_serving.runtimes.torch_gpt import BUCKETS, TorchGpt, all_rows_at_once, padded_length
from bark_serving.spec import GptStage
from tests import generations
from tests.bundles import random_bundle, small_spec

STAGES: list[GptStage] = ["semantic", "coarse"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return random_bundle(tmp_path_factory.mktemp("torch") / "bundle", small_spec(), networks=["semantic", "coarse"])


@pytest.fixture
def batched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU advances its rows as a GPU does."""
    monkeypatch.setitem(BUCKETS, "cpu", all_rows_at_once)


def torch_gpt(bundle: Bundle, stage: GptStage, *, precision: Precision = "fp32", rows: int = 4) -> TorchGpt:
    return TorchGpt(
        cast(Gpt, load(stage, bundle)),
        rule=rule_of(stage, bundle.spec),
        embeddings=mapped(bundle.weights(stage), "token_embedding.weight"),
        rows=rows,
        device=torch.device("cpu"),
        precision=precision,
    )


def tokens_of(sampler: Sampler, *, together: bool = True) -> list[list[int]]:
    """Of six sequences. The last ones grow beyond one padded length."""
    return generations.tokens_of(sampler, 6, first=Sampling(top_k=1), together=together)


@pytest.mark.parametrize("stage", STAGES)
def test_fp32_tokens_are_the_cpu_profiles(
    bundle: Bundle, stage: GptStage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from build_engines.export.build import make

    engine = make(bundle, stage=stage, precision="fp32", store=EngineStore(tmp_path_factory.mktemp("engines")))
    gpt = OnnxGpt(
        engine.folder,
        gpt=bundle.spec.gpt(stage),
        embeddings=mapped(bundle.weights(stage), "token_embedding.weight"),
        rows=4,
        threads=1,
    )
    expected = tokens_of(NumpySampler(gpt, rule_of(stage, bundle.spec)))
    actual = tokens_of(torch_gpt(bundle, stage))
    assert actual[::4] == expected[::4], "the greedy ones"
    # two libraries round differently: a uniform may fall between their two borders, once in some ten thousand draws
    assert sum(one == other for one, other in zip(actual, expected, strict=True)) >= len(expected) - 1
    assert len({tuple(tokens[:10]) for tokens in expected}) == len(expected)


@pytest.mark.parametrize("stage", STAGES)
def test_the_device_samples_what_numpy_samples_from_its_logits(bundle: Bundle, stage: GptStage) -> None:
    numpy_sampler = NumpySampler(torch_gpt(bundle, stage), rule_of(stage, bundle.spec))
    assert tokens_of(torch_gpt(bundle, stage)) == tokens_of(numpy_sampler)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_sequence_says_the_same_alone_and_among_others(bundle: Bundle, precision: Precision) -> None:
    """Bit by bit, since half precision would show the slightest difference."""
    gpt = torch_gpt(bundle, "coarse", precision=precision)
    assert tokens_of(gpt, together=False) == tokens_of(gpt)


def steps(runtime: TorchGpt, lengths: list[int]) -> np.ndarray:
    """Logits of one step after prefills of some lengths."""
    for row, length in enumerate(lengths):
        runtime.prefill(row, runtime.embed(np.random.default_rng(row).integers(0, 10_000, length)))
    return runtime.decode(runtime.embed(np.arange(10_000, 10_000 + len(lengths))), np.array(lengths, np.int32))


@pytest.mark.parametrize("lengths", [[5], [255, 256, 257], [1, 40, 300, 700, 2]])
def test_rows_of_a_batch_have_the_logits_they_have_alone(
    bundle: Bundle, lengths: list[int], request: pytest.FixtureRequest
) -> None:
    alone = steps(torch_gpt(bundle, "coarse", rows=5), lengths)
    request.getfixturevalue("batched")
    np.testing.assert_allclose(steps(torch_gpt(bundle, "coarse", rows=5), lengths), alone, atol=1e-5)


def test_a_batched_step_samples_what_steps_row_by_row_sample(bundle: Bundle, request: pytest.FixtureRequest) -> None:
    """The path of a GPU, on the CPU: buckets, padded rows, padded lengths."""
    row_by_row = tokens_of(torch_gpt(bundle, "semantic"))
    request.getfixturevalue("batched")
    assert tokens_of(torch_gpt(bundle, "semantic")) == row_by_row


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_logits_are_close_to_fp32(bundle: Bundle, precision: Precision) -> None:
    exact, half = (
        steps(torch_gpt(bundle, "coarse"), [30, 400]),
        steps(torch_gpt(bundle, "coarse", precision=precision), [30, 400]),
    )
    for one, other in zip(exact, half, strict=True):
        assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.999


def test_a_moved_row_goes_on_as_before(bundle: Bundle) -> None:
    runtime = torch_gpt(bundle, "coarse")
    expected = steps(runtime, [7, 30, 12])[1]
    runtime.move(1, 0, 30)
    actual = runtime.decode(runtime.embed(np.array([10_001])), np.array([30], np.int32))[0]
    np.testing.assert_array_equal(actual, expected)


def test_host_and_device_agree_on_one_prefill(bundle: Bundle) -> None:
    runtime = torch_gpt(bundle, "semantic")
    prompt, request = runtime.embed(np.arange(50)), SampleRequest(0, Sampling(temperature=0.7), 0.3)
    device = runtime.prefill_and_sample(2, prompt, request)
    host = NumpySampler(runtime, rule_of("semantic", bundle.spec)).prefill_and_sample(2, prompt, request)
    assert device.tokens == host.tokens
    np.testing.assert_allclose(device.end_probabilities, host.end_probabilities, rtol=1e-5)


def test_rows_and_lengths_are_padded_up_to_their_limits() -> None:
    assert [padded_rows(n, 6) for n in range(1, 7)] == [1, 2, 4, 4, 6, 6]
    assert [padded_length(n, 1000) for n in (1, 256, 257, 768, 769, 1000)] == [256, 256, 512, 768, 1000, 1000]


def test_a_sequence_may_fill_the_cache_to_its_end(bundle: Bundle) -> None:
    runtime = torch_gpt(bundle, "coarse", rows=2)
    loop = DecodeLoop(runtime)
    ids = np.arange(runtime.capacity - 3, dtype=np.int32)
    tokens = loop.submit(Generation(runtime.embed(ids), ids, 99, Sampling())).result(60)
    loop.close()
    assert len(tokens) == 4  # three positions are free, the last token is never fed
