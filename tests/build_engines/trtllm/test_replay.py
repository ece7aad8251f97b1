"""Written checkpoints, run as TensorRT-LLM would run them, give the results of our networks and of Suno's code."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from bark_serving import networks
from bark_serving.bundle import Bundle, mapped
from bark_serving.decoding.sampling import Sampling
from bark_serving.layouts import coarse as coarse_layout
from bark_serving.layouts import semantic as semantic_layout
from bark_serving.spec import GptStage
from bark_serving.speech.stage_capabilities import BuiltIn, StageCapabilities
from bark_serving.speech.stage_client import Stages
from build_engines.trtllm import checkpoint
from build_engines.trtllm.checkpoint import Constants
from reference import suno as oracle
from tests.build_engines.trtllm.executor import Executor, Request
from tests.build_engines.trtllm.stand_in import GPTForCausalLM
from tests.bundles import random_bundle, small_spec
from tests.generations import coarse_tokens

GREEDY = Sampling(temperature=0.7, top_k=1)
CONSTANTS = Constants(temperature=0.7, min_eos_p=0.15)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return random_bundle(tmp_path_factory.mktemp("replay") / "bundle", small_spec(), networks=["semantic", "coarse"])


def engine(model_class: Any, bundle: Bundle, folder: Path, *, stage: GptStage, **options: Any) -> Executor:
    checkpoint.write(bundle, folder / stage, stage=stage, dtype="float32", constants=CONSTANTS, **options)
    return Executor(model_class, folder / stage)


def our_logits(network: nn.Module, embeddings: np.ndarray) -> np.ndarray:
    """[vocab] of the last position, by our own module."""
    count = len(embeddings)
    cache = network.empty_cache(batch=1, capacity=count)  # type: ignore[operator]
    with torch.inference_mode():
        logits, *_ = network(
            torch.from_numpy(embeddings)[None],
            torch.arange(count)[None],
            torch.tensor([count - 1], dtype=torch.int32),
            torch.tensor([count], dtype=torch.int32),
            *cache,
        )
    return logits[0].numpy()


@pytest.mark.parametrize("bias", [False, True])
def test_semantic_logits_of_a_packed_batch_equal_our_networks(model_class: Any, tmp_path: Path, bias: bool) -> None:
    bundle = random_bundle(tmp_path / "bundle", small_spec(bias=bias), networks=["semantic"])
    stock = engine(GPTForCausalLM, bundle, tmp_path, stage="semantic")  # without the rule: all logits compare
    numbers, rng = bundle.spec.semantic, np.random.default_rng(0)
    embeddings = mapped(bundle.weights("semantic"), "token_embedding.weight")
    requests = []
    for count in (0, 1, 50, 767):
        text, past = semantic_layout.prompt_ids(
            rng.integers(0, 200, 20), spec=numbers, history=rng.integers(0, 9000, 9)
        )
        table = semantic_layout.prompt_table(text, past, embeddings=embeddings, spec=numbers)
        tokens = rng.integers(0, numbers.vocab, count).tolist()
        requests.append(Request(semantic_layout.virtual_ids(numbers), table, tokens=tokens))
    network = networks.load("semantic", bundle)
    theirs = stock.logits(requests)
    for request, row in zip(requests, theirs, strict=True):
        assert request.table is not None
        ours = our_logits(network, np.concatenate([request.table, embeddings[request.tokens]]).astype(np.float32))
        assert np.abs(row - ours).max() < 1e-4
        assert ours.std() > 0.1, "with nearly equal logits the comparison proves nothing"


def test_coarse_logits_equal_our_networks(model_class: Any, bundle: Bundle, tmp_path: Path) -> None:
    stock = engine(GPTForCausalLM, bundle, tmp_path, stage="coarse")
    rng, embeddings = np.random.default_rng(0), mapped(bundle.weights("coarse"), "token_embedding.weight")
    requests = [Request(rng.integers(0, 12_048, count).astype(np.int32)) for count in (1, 257, 887, 946)]
    network = networks.load("coarse", bundle)
    for request, row in zip(requests, stock.logits(requests), strict=True):
        assert np.abs(row - our_logits(network, np.asarray(embeddings[request.prompt]))).max() < 1e-4


def test_the_tanh_gelu_gives_other_logits(model_class: Any, bundle: Bundle, tmp_path: Path) -> None:
    exact = engine(GPTForCausalLM, bundle, tmp_path, stage="coarse")
    config = tmp_path / "coarse/config.json"
    config.write_text(config.read_text().replace("gelu_erf", "gelu"))
    tanh = Executor(GPTForCausalLM, tmp_path / "coarse")
    given = np.arange(10_000, 10_300, dtype=np.int32)
    assert np.abs(exact.logits([Request(given)]) - tanh.logits([Request(given)])).max() > 1e-4


class Server:
    """The `Caller` of a server whose GPT stages are engines on the stand-in."""

    def __init__(self, engines: dict[str, Executor]) -> None:
        self.engines = engines

    async def call(
        self, model: str, inputs: dict[str, Any], outputs: list[str], *, request_id: str = ""
    ) -> dict[str, Any]:
        assert "min_eos_p" not in inputs and "hold" not in inputs
        table = inputs.get("prompt_embedding_table")
        request = Request(
            prompt=inputs["input_ids"][0],
            table=None if table is None else table[0],
            end_id=inputs["end_id"].item() if "end_id" in inputs else None,
            max_tokens=inputs["request_output_len"].item(),
        )
        self.engines[model].generate([request])
        tokens = np.array(request.tokens, np.int32)
        return {"output_ids": tokens[None, None], "sequence_length": np.array([[len(tokens)]], np.int32)}


def stages_of(model_class: Any, bundle: Bundle, folder: Path) -> Stages:
    engines = {
        stage: engine(model_class, bundle, folder, stage=stage)
        for stage in ("semantic", "coarse")
        if (bundle.folder / f"{stage}.safetensors").exists()
    }
    built_in = BuiltIn(temperature=CONSTANTS.temperature, min_eos_p=CONSTANTS.min_eos_p)
    return Stages(
        Server(engines),  # type: ignore[arg-type]
        spec=bundle.spec,
        embeddings=mapped(bundle.weights("semantic"), "token_embedding.weight"),
        request_id="test",
        capabilities=StageCapabilities(own_inputs=False, built_in=built_in),
    )


def most_likely(probabilities: torch.Tensor, num_samples: int) -> torch.Tensor:
    """Replaces ``torch.multinomial``: Suno's code always samples, and with this it is greedy."""
    return probabilities.argmax(-1, keepdim=True)


class Tokenizer:
    """A tokenizer for Suno's code without a vocabulary: a text is a list of ids."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        return [int(word) for word in text.split()]


def suno_tokens(bundle: Bundle, ids: Sequence[int], *, min_eos_p: float) -> tuple[list[int], list[float]]:
    """Suno's greedy semantic tokens of a text, and the probability of the most likely token at each step."""
    highest = []

    def sample(probabilities: torch.Tensor, num_samples: int) -> torch.Tensor:
        highest.append(float(probabilities.max()))
        return most_likely(probabilities, num_samples)

    with oracle.load(bundle) as suno, mock.patch("torch.multinomial", sample):
        suno.models["text"]["tokenizer"] = Tokenizer()
        text = " ".join(map(str, ids))
        tokens = suno.generate_text_semantic(text, temp=0.7, min_eos_p=min_eos_p, silent=True, use_kv_caching=True)
    return tokens.tolist(), highest


def engine_tokens(stages: Stages, bundle: Bundle, ids: Sequence[int]) -> list[int]:
    tokens: np.ndarray = asyncio.run(
        stages.semantic(
            np.array(ids),
            history=None,
            max_tokens=bundle.spec.semantic.max_steps,
            sampling=GREEDY,
            min_eos_p=CONSTANTS.min_eos_p,
            piece=0,
        )
    )
    return tokens.tolist()


@pytest.mark.slow
def test_greedy_semantic_generations_equal_sunos(model_class: Any, bundle: Bundle, tmp_path: Path) -> None:
    text = [3, 1, 4, 1, 5, 9, 2, 6]
    theirs, highest = suno_tokens(bundle, text, min_eos_p=CONSTANTS.min_eos_p)
    assert engine_tokens(stages_of(model_class, bundle, tmp_path), bundle, text) == theirs
    assert len(theirs) == bundle.spec.semantic.max_steps
    # The same weights, but the end token is exactly as likely as a token that does not occur before step 50.
    step = next(i for i in range(50, len(theirs)) if theirs[i] not in theirs[:i] and highest[i] > 0.2)
    ending = random_bundle(tmp_path / "ending", bundle.spec, networks=["semantic"])
    tensors = load_file(ending.weights("semantic"))
    tensors["head.weight"][bundle.spec.semantic.end_token] = tensors["head.weight"][theirs[step]]
    save_file(tensors, ending.weights("semantic"))
    ended, _ = suno_tokens(ending, text, min_eos_p=CONSTANTS.min_eos_p)
    assert 0 < len(ended) <= step
    assert engine_tokens(stages_of(model_class, ending, tmp_path), ending, text) == ended


def test_greedy_slices_whose_prompts_hold_all_before_them_join(
    model_class: Any, bundle: Bundle, tmp_path: Path
) -> None:
    stages = stages_of(model_class, bundle, tmp_path)

    def said_in(*sizes: int) -> list[int]:
        said = np.empty(0, np.int32)
        for size in sizes:
            slice_ = stages.semantic(
                np.array([3, 1, 4, 1, 5, 9, 2, 6]),
                history=None,
                max_tokens=size,
                sampling=GREEDY,
                min_eos_p=CONSTANTS.min_eos_p,
                piece=0,
                said=said,
                hold=True,
            )
            said = np.concatenate([said, asyncio.run(slice_)])
        return said.tolist()

    assert said_in(1, 9, 10) == said_in(20)


def test_a_greedy_coarse_generation_equals_sunos(model_class: Any, bundle: Bundle, tmp_path: Path) -> None:
    stages = stages_of(model_class, bundle, tmp_path)
    semantic = np.random.default_rng(3).integers(0, 10_000, 120)
    with oracle.load(bundle) as suno, mock.patch("torch.multinomial", most_likely):
        theirs = suno.generate_coarse(semantic, temp=0.7, silent=True, use_kv_caching=True)
    ours = coarse_tokens(stages, semantic, spec=bundle.spec, sampling=GREEDY)
    assert coarse_layout.unflatten(ours, spec=bundle.spec).tolist() == theirs.tolist()
    assert len(set(ours.tolist())) > 3


def test_sequences_decode_the_same_together_and_alone(model_class: Any, bundle: Bundle, tmp_path: Path) -> None:
    executor = engine(model_class, bundle, tmp_path, stage="coarse")

    def requests() -> list[Request]:
        return [Request(np.arange(start, start + 9, dtype=np.int32), max_tokens=4 * start) for start in (1, 3, 7)]

    alone, together = requests(), requests()
    for request in alone:
        executor.generate([request])
    executor.generate(together)
    assert [request.tokens for request in together] == [request.tokens for request in alone]
