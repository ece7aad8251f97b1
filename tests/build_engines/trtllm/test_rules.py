"""The logit rules: numpy's against Suno's own code, the engine's graph against numpy's, on random logits."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bark_serving.bundle import Bundle
from bark_serving.decoding.rules import allowed_ids, rule_of
from bark_serving.decoding.sampling import softmax
from bark_serving.spec import CoarseSpec, GptSpec, SemanticSpec, Spec
from build_engines.trtllm.rules import rule_numbers
from reference import suno as oracle
from tests.build_engines.trtllm.numpy_rules import MASKED, apply_rule
from tests.build_engines.trtllm.stand_in import Tensor
from tests.bundles import random_bundle, small_spec

RELEASED = Spec(name="released")
TEMPERATURE = 0.7


class RandomNetwork(nn.Module):
    """Replaces a GPT in Suno's code: gives random logits and remembers them."""

    def __init__(self, vocab: int, *, seed: int, scale: float) -> None:
        super().__init__()
        self.device_of = nn.Parameter(torch.zeros(1))
        self.rng, self.vocab, self.scale = np.random.default_rng(seed), vocab, scale
        self.given: list[np.ndarray] = []
        self.last_ids: list[int] = []

    def forward(self, ids: torch.Tensor, **_: Any) -> tuple[torch.Tensor, None]:
        self.last_ids.append(int(ids[0, -1]))
        self.given.append(self.scale * self.rng.standard_normal(self.vocab, np.float32))
        return torch.from_numpy(self.given[-1].copy())[None, None], None


class Sampler:
    """Replaces ``torch.multinomial``: remembers the probabilities and samples from them."""

    def __init__(self, seed: int) -> None:
        self.rng, self.probabilities = np.random.default_rng(seed), []  # type: ignore[var-annotated]

    def __call__(self, probabilities: torch.Tensor, num_samples: int) -> torch.Tensor:
        weights = probabilities.double().numpy()
        self.probabilities.append(weights)
        return torch.tensor([self.rng.choice(len(weights), p=weights / weights.sum())])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return random_bundle(tmp_path_factory.mktemp("rules") / "bundle", small_spec(), networks=[])


def probabilities_of(logits: np.ndarray) -> np.ndarray:
    """[vocab] probabilities that TensorRT-LLM samples from: softmax over all ids, here in double precision."""
    scaled = logits.astype(np.float64) / TEMPERATURE
    powers = np.exp(scaled - scaled.max())
    return powers / powers.sum()


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), min_eos_p=st.sampled_from([0.0005, 0.01, 0.2, 1.0]), scale=st.sampled_from([1, 4]))
def test_semantic_probabilities_and_the_end_equal_sunos(
    bundle: Bundle, seed: int, min_eos_p: float, scale: float
) -> None:
    spec, sampler = bundle.spec, Sampler(seed)
    network = RandomNetwork(spec.semantic.gpt.output_vocab, seed=seed, scale=scale)
    with oracle.load(bundle) as suno, mock.patch("torch.multinomial", sampler):
        suno.models["text"] = {"model": network, "tokenizer": SimpleNamespace(encode=lambda *_, **__: [1])}
        tokens = suno.generate_text_semantic(
            "x", temp=TEMPERATURE, min_eos_p=min_eos_p, silent=True, max_gen_duration_s=2
        )
    numbers, end = rule_numbers("semantic", spec, temperature=TEMPERATURE, min_eos_p=min_eos_p), spec.semantic.end_token
    ruled = apply_rule(np.stack(network.given), np.array(network.last_ids), numbers)
    for step, (row, probabilities) in enumerate(zip(ruled, sampler.probabilities, strict=True)):
        ours = probabilities_of(row)
        if step < len(tokens):  # Suno continued: the end token was neither likely enough nor sampled
            np.testing.assert_allclose(np.append(ours[: spec.semantic.vocab], ours[end]), probabilities, atol=1e-5)
            assert ours[spec.semantic.vocab + 1 :].max() == 0
        elif probabilities[-1] >= min_eos_p:
            assert ours[end] == 1
        else:
            np.testing.assert_allclose(ours[end], probabilities[-1], atol=1e-5)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32), semantic_tokens=st.integers(1, 60))
def test_coarse_probabilities_equal_sunos_for_random_histories(bundle: Bundle, seed: int, semantic_tokens: int) -> None:
    spec, sampler = bundle.spec, Sampler(seed)
    network = RandomNetwork(spec.coarse.gpt.output_vocab, seed=seed, scale=2)
    semantic = np.random.default_rng(seed).integers(0, spec.semantic.vocab, semantic_tokens)
    with oracle.load(bundle) as suno, mock.patch("torch.multinomial", sampler):
        suno.models["coarse"] = network
        suno.generate_coarse(semantic, temp=TEMPERATURE, silent=True, use_kv_caching=False)
    numbers = rule_numbers("coarse", spec, temperature=TEMPERATURE, min_eos_p=1)
    ruled = apply_rule(np.stack(network.given), np.array(network.last_ids), numbers)
    size = spec.encodec.codebook_size
    assert len(sampler.probabilities) == len(ruled) > 0
    for step, (row, probabilities) in enumerate(zip(ruled, sampler.probabilities, strict=True)):
        start = spec.coarse.offset + step % 2 * size
        ours = probabilities_of(row)
        np.testing.assert_allclose(ours[start : start + size], probabilities, atol=1e-5)
        assert ours[start : start + size].sum() == pytest.approx(1, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    codebooks=st.integers(1, 4),
    size=st.integers(1, 6),
    offset=st.integers(0, 7),
    rows=st.integers(1, 5),
)
def test_the_coarse_graph_allows_the_ids_that_the_decode_loop_allows(
    model_class: Any, seed: int, codebooks: int, size: int, offset: int, rows: int
) -> None:
    vocab, rng = offset + codebooks * size + 3, np.random.default_rng(seed)
    coarse = CoarseSpec(gpt=GptSpec(input_vocab=vocab, output_vocab=vocab), codebooks=codebooks, offset=offset)
    spec = RELEASED.model_copy(
        update={"coarse": coarse, "encodec": RELEASED.encodec.model_copy(update={"codebook_size": size})}
    )
    logits, last = rng.standard_normal((rows, vocab), np.float32), rng.integers(0, vocab, rows).astype(np.int32)
    expected = check_graph(model_class, "coarse", spec, logits, last, min_eos_p=1)
    for row, one in zip(expected, last, strict=True):
        allowed = allowed_ids(rule_of("coarse", spec), int(one))
        assert np.flatnonzero(row > MASKED / 2).tolist() == allowed.tolist()


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), tokens=st.integers(1, 9), min_eos_p=st.floats(0.01, 1), rows=st.integers(1, 5))
def test_the_semantic_graph_ends_when_the_numpy_rule_ends(
    model_class: Any, seed: int, tokens: int, min_eos_p: float, rows: int
) -> None:
    gpt = GptSpec(input_vocab=tokens + 4, output_vocab=tokens + 4)
    spec = RELEASED.model_copy(update={"semantic": SemanticSpec(gpt=gpt, vocab=tokens, end_token=tokens + 1)})
    logits = np.random.default_rng(seed).standard_normal((rows, tokens + 4), np.float32)
    ends = check_graph(model_class, "semantic", spec, logits, np.zeros(rows, np.int32), min_eos_p=min_eos_p)
    allowed = logits[:, [*range(tokens), tokens + 1]]
    likely = np.array([softmax(row / np.float32(TEMPERATURE))[-1] for row in allowed])
    clear = np.abs(likely - min_eos_p) > 1e-6
    assert ((ends[:, tokens + 1] > 1e8) == (likely >= min_eos_p))[clear].all()


def check_graph(
    model_class: Any, stage: str, spec: Spec, logits: np.ndarray, last: np.ndarray, *, min_eos_p: float
) -> np.ndarray:
    """Assert that the model class's rule gives the same as numpy's. Returns numpy's result."""
    numbers = rule_numbers(stage, spec, temperature=TEMPERATURE, min_eos_p=min_eos_p)
    rule = model_class.__init__.__globals__["RULES"][stage](
        SimpleNamespace(vocab_size=logits.shape[1], **numbers)  # the config that TensorRT-LLM hands to the class
    )
    ruled = rule(Tensor(torch.from_numpy(logits)), Tensor(torch.from_numpy(last))).value.numpy()
    expected = apply_rule(logits, last, numbers)
    for theirs, ours in zip(ruled, expected, strict=True):
        allowed = ours > MASKED / 2
        assert (theirs[~allowed] < MASKED / 2).all()
        np.testing.assert_allclose(theirs[allowed], ours[allowed], rtol=1e-6)
    assert np.isfinite(ruled).all()
    return expected


def test_the_rules_take_their_numbers_from_the_checkpoint(tmp_path: Path) -> None:
    numbers = rule_numbers("coarse", RELEASED, temperature=1, min_eos_p=1)
    assert numbers == {
        "bark_stage": "coarse",
        "bark_offset": 10_000,
        "bark_codebooks": 2,
        "bark_codebook_size": 1_024,
    }
    other = RELEASED.model_copy(update={"coarse": RELEASED.coarse.model_copy(update={"offset": 500})})
    assert rule_numbers("coarse", other, temperature=1, min_eos_p=1)["bark_offset"] == 500
