"""A sequence in slices, each of which goes on from the kept cache: the tokens of one call, to the bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bark_serving.bundle import Bundle, mapped
from bark_serving.decoding.loop import DecodeLoop
from bark_serving.decoding.rules import rule_of
from bark_serving.decoding.sampler import NumpySampler, Sampler
from bark_serving.decoding.sampling import Sampling
from bark_serving.decoding.sequence import Generation
from bark_serving.engines.store import EngineStore
from bark_serving.networks import Gpt, load
from bark_serving.runtimes.onnx_gpt import OnnxGpt
from bark_serving.runtimes.torch_device import open_device
from bark_serving.runtimes.torch_gpt import TorchGpt
from build_engines.export import kernels
from build_engines.export.build import make
from build_engines.export.graphs import GRAPHS
from tests.bark_serving.decoding.test_loop import CountingNetwork, SumNetwork, loop_of, rule
from tests.bundles import random_bundle, small_spec

SPEC = small_spec()
ROWS = 4
COUNT = 40  #: tokens of a whole sequence

Embed = Callable[[np.ndarray], np.ndarray]


def sliced(
    loop: DecodeLoop, embed: Embed, prompt: np.ndarray, sizes: list[int], *, seed: int, min_eos_p: float = 1.1
) -> list[int]:
    """The tokens of slices of these sizes. The last slice frees the row."""
    said: list[int] = []
    for number, size in enumerate(sizes):
        ids = np.concatenate([prompt, said]).astype(np.int32)
        generation = Generation(
            prompt=embed(ids),
            ids=ids,
            max_tokens=size,
            sampling=Sampling(seed=seed, temperature=0.7),
            min_eos_p=min_eos_p,
            request_id=f"sliced-{seed}",
            first_step=len(said),
            hold=number < len(sizes) - 1,
        )
        new = loop.submit(generation).result(60).tolist()
        said += new
        if len(new) < size:
            break
    return said


def mates(loop: DecodeLoop, embed: Embed, count: int) -> list[Future[np.ndarray]]:
    """Sequences beside it, of several lengths."""
    prompts = [np.arange(3 + mate, dtype=np.int32) for mate in range(count)]
    return [
        loop.submit(Generation(embed(ids), ids, 5 + 9 * mate, Sampling(seed=100 + mate)))
        for mate, ids in enumerate(prompts)
    ]


sizes = st.lists(st.integers(1, 15), min_size=1, max_size=8)


@given(sizes=sizes, seed=st.integers(0, 1000), beside=st.integers(0, 5), min_eos_p=st.sampled_from([0.2, 0.5, 1.1]))
@settings(max_examples=60, deadline=None)
def test_slices_join_to_the_tokens_of_one_call(sizes: list[int], seed: int, beside: int, min_eos_p: float) -> None:
    network = CountingNetwork(rows=ROWS)
    loop = loop_of(network, rule())
    prompt = np.array([1, 2, 3], np.int32)
    whole = sliced(loop, network.embed, prompt, [sum(sizes)], seed=seed, min_eos_p=min_eos_p)
    others = mates(loop, network.embed, beside)
    before = network.prefills
    parts = sliced(loop, network.embed, prompt, sizes, seed=seed, min_eos_p=min_eos_p)
    for other in others:
        other.result(60)
    loop.close()
    assert parts == whole
    assert network.prefills - before <= 1 + beside, "a slice was prefilled"


def test_slices_with_the_numbers_of_the_first_steps_say_something_else() -> None:
    network = SumNetwork(rows=1)
    loop = loop_of(network)
    ids = np.array([1, 2, 3], np.int32)
    whole = sliced(loop, network.embed, ids, [20], seed=3)
    ids = np.concatenate([ids, whole[:10]]).astype(np.int32)
    again = loop.submit(Generation(network.embed(ids), ids, 10, Sampling(seed=3, temperature=0.7))).result(10)
    loop.close()
    assert again.tolist() != whole[10:]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return random_bundle(tmp_path_factory.mktemp("slices") / "bundle", SPEC, networks=["semantic"])


@pytest.fixture(scope="module", params=["kernels", "int8", "fp32", "torch"])
def sampler(request: pytest.FixtureRequest, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Sampler:
    """What runs the semantic stage in the profiles of this project's own code."""
    table = mapped(bundle.weights("semantic"), "token_embedding.weight")
    semantic = rule_of("semantic", SPEC)
    if request.param == "torch":
        network = load("semantic", bundle)
        assert isinstance(network, Gpt)
        device = open_device("cpu", threads=1)
        return TorchGpt(network, rule=semantic, embeddings=table, rows=ROWS, device=device, precision="fp32")
    folder: Path = tmp_path_factory.mktemp("engines")
    if request.param == "kernels":
        native = pytest.importorskip("bark_serving.runtimes.native", reason="the kernels are not installed")
        kernels.pack(GRAPHS["semantic"].forward(load("semantic", bundle), SPEC), bits=8, path=folder / "packed")
        gpt = native.NativeGpt(folder / "packed", gpt=SPEC.semantic.gpt, embeddings=table, rows=ROWS, threads=1)
        return NumpySampler(gpt, semantic)
    engine = make(bundle, stage="semantic", precision=request.param, store=EngineStore(folder))
    runtime = OnnxGpt(engine.folder, gpt=SPEC.semantic.gpt, embeddings=table, rows=ROWS, threads=1)
    return NumpySampler(runtime, semantic)


@pytest.fixture
def loop(sampler: Sampler) -> Iterator[DecodeLoop]:
    loop = DecodeLoop(sampler)
    yield loop
    loop.close()


@pytest.mark.parametrize("beside", [0, 3])
def test_every_runtime_goes_on_to_the_bit(loop: DecodeLoop, sampler: Sampler, beside: int) -> None:
    rng = np.random.default_rng(0)
    prompt = rng.integers(0, 10_000, 30).astype(np.int32)
    embed = sampler.runtime.embed
    whole = sliced(loop, embed, prompt, [COUNT], seed=5)
    others = mates(loop, embed, beside)
    for _ in range(3):
        cuts = np.sort(rng.choice(np.arange(1, COUNT), 4, replace=False))
        parts = sliced(loop, embed, prompt, np.diff([0, *cuts, COUNT]).tolist(), seed=5)
        assert parts == whole, cuts
    for other in others:
        other.result(60)
    assert len(set(whole)) > COUNT / 2, "the tokens repeat: they would be equal by chance"
