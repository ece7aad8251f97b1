"""The decode loop on an exported engine has the distribution of Suno's own network and code (tiny vocabulary)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy import stats

from bark_serving.bundle import Bundle, mapped
from bark_serving.decoding.loop import DecodeLoop
from bark_serving.decoding.rules import rule_of
from bark_serving.decoding.sampler import NumpySampler
from bark_serving.decoding.sampling import Sampling
from bark_serving.decoding.sequence import Generation
from bark_serving.engines.store import EngineStore
from bark_serving.layouts import semantic as layout
from bark_serving.runtimes.onnx_gpt import OnnxGpt
from bark_serving.spec import GptSpec, SemanticSpec
from build_engines.export.build import make
from reference import suno as oracle
from tests.bundles import random_bundle, small_spec

SAMPLES = 3000
TEMPERATURE = 0.7


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Twelve semantic tokens and an end token."""
    gpt = GptSpec(layers=2, heads=2, width=32, input_vocab=64, output_vocab=16)
    numbers = SemanticSpec(gpt=gpt, vocab=12, end_token=12, text_offset=16, text_pad=62, infer_token=63)
    spec = small_spec().model_copy(update={"semantic": numbers})
    return random_bundle(tmp_path_factory.mktemp("dozen") / "bundle", spec, networks=["semantic"])


@pytest.fixture(scope="module")
def loop(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> DecodeLoop:
    engine = make(bundle, stage="semantic", precision="fp32", store=EngineStore(tmp_path_factory.mktemp("engines")))
    gpt = OnnxGpt(engine.folder, gpt=bundle.spec.semantic.gpt, embeddings=embeddings(bundle), rows=8, threads=1)
    return DecodeLoop(NumpySampler(gpt, rule_of("semantic", bundle.spec)))


def embeddings(bundle: Bundle) -> np.ndarray:
    return mapped(bundle.weights("semantic"), "token_embedding.weight")


def oracle_probabilities(bundle: Bundle, text: np.ndarray, past: np.ndarray, said: list[int]) -> np.ndarray:
    """The distribution of the next token in Suno's code: 12 semantic tokens, then the end token."""
    numbers = bundle.spec.semantic
    network = oracle.gpt(load_file(bundle.weights("semantic")), numbers.gpt)
    ids = torch.from_numpy(np.concatenate([text, past, [numbers.infer_token], said]).astype(np.int64))[None]
    with torch.inference_mode():
        logits = network(ids, merge_context=True)[0][0, 0, : numbers.vocab + 1]
    return torch.softmax(logits / TEMPERATURE, dim=-1).double().numpy()


def test_tokens_over_many_seeds_have_the_oracles_distribution(bundle: Bundle, loop: DecodeLoop) -> None:
    numbers = bundle.spec.semantic
    text, past = layout.prompt_ids(np.array([3, 1, 4]), spec=numbers, history=np.array([5, 6]))
    prompt = layout.prompt_table(text, past, embeddings=embeddings(bundle), spec=numbers)
    answers = [
        loop.submit(
            Generation(
                prompt=prompt,
                ids=np.zeros(1, np.int32),
                max_tokens=2,
                sampling=Sampling(temperature=TEMPERATURE, seed=seed),
            )
        )
        for seed in range(SAMPLES)
    ]
    sampled = [answer.result(120).tolist() for answer in answers]
    assert_sampled_from(
        oracle_probabilities(bundle, text, past, []), [tokens[0] if tokens else 12 for tokens in sampled]
    )
    # and the second token, after the most frequent first one
    first = max(range(12), key=[tokens[0] for tokens in sampled if tokens].count)
    seconds = [tokens[1] if len(tokens) > 1 else 12 for tokens in sampled if tokens and tokens[0] == first]
    assert_sampled_from(oracle_probabilities(bundle, text, past, [first]), seconds)


def assert_sampled_from(probabilities: np.ndarray, tokens: list[int]) -> None:
    counts = np.bincount(tokens, minlength=len(probabilities))
    common = probabilities * len(tokens) >= 5  # the chi-square test needs five of each; the rare tokens count together
    observed = np.append(counts[common], counts[~common].sum())
    expected = np.append(probabilities[common], probabilities[~common].sum()) * len(tokens)
    kept = expected > 0
    assert common.sum() >= 4, "so narrow a distribution tests nothing"
    assert stats.chisquare(observed[kept], expected[kept] * observed[kept].sum() / expected[kept].sum()).pvalue > 1e-3
