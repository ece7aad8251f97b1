"""The GPTs' graphs for TensorRT, run by ONNX Runtime in the plan's own runtime: Suno's tokens, in place, in batches."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx
import pytest

from bark_serving.bundle import Bundle, mapped
from bark_serving.decoding.loop import DecodeLoop
from bark_serving.decoding.rules import rule_of
from bark_serving.decoding.sampler import NumpySampler, Sampler, SampleRequest
from bark_serving.decoding.sampling import Sampling
from bark_serving.decoding.sequence import Generation
from bark_serving.engines.store import EngineStore
from bark_serving.layouts import coarse as coarse_layout
from bark_serving.profiles import Precision
from bark_serving.runtimes.onnx_gpt import OnnxGpt
from bark_serving.runtimes.plan_gpt import PlanGpt
from bark_serving.spec import GptStage
from bark_serving.speech.stage_capabilities import StageCapabilities
from bark_serving.speech.stage_client import Stages
from bark_serving.triton.in_process import Backend
from build_engines.export import graph
from build_engines.tensorrt import dialect, gpt
from reference import suno as oracle
from tests.build_engines.tensorrt.conftest import without_mask
from tests.bundles import random_bundle, small_spec, true_size_spec
from tests.generations import GREEDY, coarse_tokens, tokens_of
from tests.plan_on_cpu import CpuDevice

STAGES: list[GptStage] = ["semantic", "coarse"]
Open = Callable[..., PlanGpt]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return random_bundle(tmp_path_factory.mktemp("gpt") / "bundle", small_spec(), networks=STAGES)


@pytest.fixture(scope="module")
def exported(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Callable[[GptStage, Precision], Path]:
    folder = tmp_path_factory.mktemp("graphs")

    @functools.cache
    def export(stage: GptStage, precision: Precision) -> Path:
        path = folder / f"{stage}-{precision}.onnx"
        graph.save(dialect.export(bundle, stage=stage, precision=precision), path)
        return path

    return export


@pytest.fixture(scope="module")
def open_gpt(bundle: Bundle, exported: Callable[[GptStage, Precision], Path]) -> Open:
    """Opens a stage's graph as a plan."""

    def open_gpt(stage: GptStage, precision: Precision = "fp32", *, rows: int = 8) -> PlanGpt:
        return open_plan(bundle, exported(stage, precision), stage=stage, precision=precision, rows=rows)

    return open_gpt


def open_plan(bundle: Bundle, path: Path, *, stage: GptStage, precision: Precision = "fp32", rows: int = 8) -> PlanGpt:
    return PlanGpt(
        CpuDevice(),
        path,
        gpt=bundle.spec.gpt(stage),
        rule=rule_of(stage, bundle.spec),
        embeddings=mapped(bundle.weights(stage), "token_embedding.weight"),
        cache_type=gpt.COMPUTE[precision],
        rows=rows,
    )


class Server:
    """The `Caller` of a server whose GPT stages are these samplers."""

    def __init__(self, bundle: Bundle, samplers: dict[str, Sampler]) -> None:
        self.bundle = bundle
        self.samplers = samplers
        self.loops = {stage: DecodeLoop(sampler) for stage, sampler in samplers.items()}
        with mock.patch.dict(sys.modules, triton_python_backend_utils=Backend()):
            from bark_serving.triton.gpt_model import parse_generation
        self.parse = parse_generation

    async def call(self, model: Any, inputs: dict[str, Any], outputs: list[str], *, request_id: str = "") -> Any:
        generation = self.parse(
            inputs, gpt=self.bundle.spec.gpt(model), embed=self.samplers[model].runtime.embed, request_id=request_id
        )
        tokens = await asyncio.wrap_future(self.loops[model].submit(generation))
        return {"output_ids": tokens[None, None], "sequence_length": np.array([[len(tokens)]], np.int32)}

    def post(self, *args: Any, **kwargs: Any) -> None:
        """Nothing is stopped here."""

    def close(self) -> None:
        for loop in self.loops.values():
            loop.close()


@pytest.fixture
def stages(bundle: Bundle, open_gpt: Open) -> Iterator[Stages]:
    server = Server(bundle, {stage: open_gpt(stage) for stage in STAGES})
    embeddings = mapped(bundle.weights("semantic"), "token_embedding.weight")
    yield Stages(server, spec=bundle.spec, embeddings=embeddings, request_id="test", capabilities=StageCapabilities())  # type: ignore[arg-type]
    server.close()


class Tokenizer:
    """A tokenizer for Suno's code without a vocabulary: a text is a list of ids."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        return [int(word) for word in text.split()]


def test_a_whole_greedy_semantic_generation_is_sunos(bundle: Bundle, stages: Stages) -> None:
    text = [3, 1, 4, 1, 5, 9, 2, 6]
    with oracle.load(bundle) as suno:
        suno.models["text"]["tokenizer"] = Tokenizer()
        theirs = suno.generate_text_semantic(
            " ".join(map(str, text)), temp=oracle.GREEDY, silent=True, use_kv_caching=True
        ).tolist()
    ours = stages.semantic(
        np.array(text),
        history=None,
        max_tokens=bundle.spec.semantic.max_steps,
        sampling=GREEDY,
        min_eos_p=0.2,
        piece=0,
    )
    assert asyncio.run(ours).tolist() == theirs
    assert len(theirs) > 100


def test_a_whole_greedy_coarse_generation_is_sunos(bundle: Bundle, stages: Stages) -> None:
    semantic = np.random.default_rng(3).integers(0, 10_000, 120)
    with oracle.load(bundle) as suno:
        theirs = suno.generate_coarse(semantic, temp=oracle.GREEDY, silent=True, use_kv_caching=True)
    ours = coarse_tokens(stages, semantic, spec=bundle.spec, sampling=GREEDY)
    assert coarse_layout.unflatten(ours, spec=bundle.spec).tolist() == theirs.tolist()
    assert len(ours) > 300 and len(set(ours.tolist())) > 3


@pytest.mark.slow  # seconds per window, and a graph of 0.4 GB
def test_a_greedy_coarse_generation_at_the_size_of_bark_small_is_sunos(tmp_path: Path) -> None:
    """Four windows, each of which begins with the tokens before it."""
    bundle = random_bundle(tmp_path / "bundle", true_size_spec(), networks=["coarse"])
    graph.save(dialect.export(bundle, stage="coarse", precision="fp32"), tmp_path / "coarse.onnx")
    plan = open_plan(bundle, tmp_path / "coarse.onnx", stage="coarse", rows=1)
    assert (plan.capacity, bundle.spec.coarse.gpt.width, bundle.spec.coarse.gpt.layers) == (1024, 768, 12)
    server = Server(bundle, {"coarse": plan})
    nothing = np.empty((0, 768), np.float32)
    stages = Stages(server, spec=bundle.spec, embeddings=nothing, request_id="test", capabilities=StageCapabilities())  # type: ignore[arg-type]
    semantic = np.random.default_rng(3).integers(0, 10_000, 70)
    with oracle.load(bundle) as suno:
        theirs = suno.generate_coarse(semantic, temp=oracle.GREEDY, silent=True, use_kv_caching=True)
    ours = coarse_tokens(stages, semantic, spec=bundle.spec, sampling=GREEDY)
    server.close()
    assert coarse_layout.unflatten(ours, spec=bundle.spec).tolist() == theirs.tolist()
    assert len(ours) == 210 and len(set(ours.tolist())) > 20


def differing(ours: Sequence[list[int]], theirs: Sequence[list[int]]) -> list[int]:
    return [number for number, (one, other) in enumerate(zip(ours, theirs, strict=True)) if one != other]


@pytest.mark.parametrize("stage", STAGES)
def test_sampled_tokens_are_the_cpu_profiles(
    bundle: Bundle, open_gpt: Open, stage: GptStage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from build_engines.export.build import make

    engine = make(bundle, stage=stage, precision="fp32", store=EngineStore(tmp_path_factory.mktemp("engines")))
    cpu = OnnxGpt(
        engine.folder,
        gpt=bundle.spec.gpt(stage),
        embeddings=mapped(bundle.weights(stage), "token_embedding.weight"),
        rows=8,
        threads=1,
    )
    theirs = tokens_of(NumpySampler(cpu, rule_of(stage, bundle.spec)), 8)
    ours = tokens_of(open_gpt(stage), 8)
    # The graph sums probabilities in fp32, numpy in fp64: a uniform may fall between two borders, once in some 10 000.
    assert len(differing(ours, theirs)) <= 1 and not differing(ours[::4], theirs[::4])
    assert len({tuple(tokens[:10]) for tokens in theirs}) == len(theirs)


@pytest.mark.parametrize(("stage", "precision"), [("semantic", "fp32"), ("coarse", "fp32"), ("coarse", "fp16")])
def test_sequences_of_different_lengths_say_together_what_they_say_alone(
    open_gpt: Open, stage: GptStage, precision: Precision
) -> None:
    alone = tokens_of(open_gpt(stage, precision, rows=1), 8, together=False)
    for rows in (2, 3, 8):
        assert differing(tokens_of(open_gpt(stage, precision, rows=rows), 8), alone) == [], rows


def test_the_graph_samples_what_numpy_samples_from_its_logits(open_gpt: Open) -> None:
    plan = open_gpt("semantic")
    prompt, request = plan.embed(np.arange(50)), SampleRequest(0, Sampling(temperature=0.7), 0.3)
    ours = plan.prefill_and_sample(2, prompt, request)
    theirs = NumpySampler(plan, plan.rule).prefill_and_sample(2, prompt, request)
    assert ours.tokens == theirs.tokens
    np.testing.assert_allclose(ours.end_probabilities, theirs.end_probabilities, rtol=1e-5)


@pytest.mark.parametrize(("temperature", "end"), [(0.0, 1.0), (1.0, None)])
def test_the_end_tokens_probability_is_that_of_the_temperature(
    open_gpt: Open, temperature: float, end: float | None
) -> None:
    """At temperature 0 the largest logit is certain, the end token's too."""
    plan = open_gpt("semantic")
    logits = plan.prefill(0, plan.embed(np.arange(9))).copy()
    probabilities = np.exp(logits.astype(np.float64) - logits.max())
    expected = probabilities[-1] / probabilities.sum() if temperature else float(logits.argmax() == len(logits) - 1)
    sampled = plan.prefill_and_sample(0, plan.embed(np.arange(9)), SampleRequest(0, Sampling(temperature), 0.5))
    assert sampled.end_probabilities[0] == pytest.approx(expected, rel=1e-4)


def test_a_uniform_number_next_to_one_finds_a_token_that_is_possible(open_gpt: Open) -> None:
    plan = open_gpt("coarse")
    prompt = plan.embed(np.arange(50))
    [token] = plan.prefill_and_sample(0, prompt, SampleRequest(0, Sampling(temperature=0.01), 1 - 2**-53)).tokens
    logits = plan.prefill(0, prompt)[:1024].astype(np.float64)
    chosen = token - plan.rule.id_sets[0][0]
    assert np.exp((logits[chosen] - logits.max()) / 0.01) > 1e-12


def test_a_moved_row_goes_on_as_before(open_gpt: Open) -> None:
    plan = open_gpt("coarse")
    for row, length in enumerate((30, 257, 12)):
        plan.prefill(row, plan.embed(np.random.default_rng(row).integers(0, 12_000, length)))
    together = plan.decode(plan.embed(np.array([1, 2, 3])), np.array([30, 257, 12], np.int32)).copy()
    plan.move(2, 0, 12)
    alone = plan.decode(plan.embed(np.array([3])), np.array([12], np.int32))
    np.testing.assert_array_equal(alone[0], together[2])


def test_a_sequence_may_fill_the_cache_to_its_end(open_gpt: Open) -> None:
    plan = open_gpt("coarse", rows=2)
    loop = DecodeLoop(plan)
    ids = np.arange(plan.capacity - 3, dtype=np.int32)
    tokens = loop.submit(Generation(plan.embed(ids), ids, 99, Sampling())).result(60)
    loop.close()
    assert len(tokens) == 4  # three positions are free, the last token is never fed


def test_half_precision_logits_are_close_to_fp32(open_gpt: Open) -> None:
    exact, half = (open_gpt("coarse", chosen) for chosen in ("fp32", "fp16"))
    prompt = exact.embed(np.random.default_rng(0).integers(0, 12_000, 400))
    one, other = exact.prefill(0, prompt).copy(), half.prefill(0, prompt)
    assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.9999


def without_row_positions(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type == "TensorScatter":
            del node.input[2:]


@pytest.mark.parametrize("spoil", [without_mask, without_row_positions])
def test_a_wrong_graph_says_something_else(
    bundle: Bundle, open_gpt: Open, tmp_path: Path, spoil: Callable[[onnx.ModelProto], None]
) -> None:
    """What the comparisons above would notice."""
    model = dialect.export(bundle, stage="semantic", precision="fp32")
    spoil(model)
    graph.save(model, tmp_path / "wrong.onnx")
    wrong = open_plan(bundle, tmp_path / "wrong.onnx", stage="semantic")
    assert tokens_of(wrong, 2)[0] != tokens_of(open_gpt("semantic"), 2)[0]
