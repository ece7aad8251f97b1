"""Sampling against Suno's arithmetic, and the distribution of the samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import softmax as scipy_softmax

from bark_serving.decoding.sampling import Sampling, derive_seed, probabilities, sample_index, step_uniforms, uniforms


def reference(logits: np.ndarray, *, temperature: float, top_k: int | None, top_p: float | None) -> np.ndarray:
    """The order of operations of generate_text_semantic: nucleus on plain logits, top-k, then the temperature."""
    kept = torch.tensor(logits)
    if top_p is not None:
        order = np.argsort(logits)[::-1]
        drop = np.cumsum(scipy_softmax(logits[order])) > top_p
        drop[1:] = drop[:-1].copy()
        drop[0] = False
        kept[order[drop].copy()] = -torch.inf
    if top_k is not None:
        kept[kept < torch.topk(kept, min(top_k, len(kept)))[0][-1]] = -torch.inf
    return torch.softmax(kept / temperature, dim=-1).numpy()


@given(
    seed=st.integers(0, 10_000),
    size=st.integers(1, 200),
    temperature=st.floats(0.1, 3),
    top_k=st.one_of(st.none(), st.integers(1, 250)),
    top_p=st.one_of(st.none(), st.floats(0.05, 0.99)),
)
def test_probabilities_are_the_oracles(
    seed: int, size: int, temperature: float, top_k: int | None, top_p: float | None
) -> None:
    logits = np.random.default_rng(seed).normal(scale=3, size=size).astype(np.float32)
    ours = probabilities(logits, Sampling(temperature=temperature, top_k=top_k or 0, top_p=top_p or 1.0))
    expected = reference(logits, temperature=temperature, top_k=top_k, top_p=top_p)
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_samples_over_many_seeds_have_the_stated_distribution() -> None:
    logits = np.array([0.0, 1.0, 2.0, -1.0, 0.5, -50.0], np.float32)
    distribution = probabilities(logits, Sampling(temperature=0.7))
    samples = [sample_index(distribution, uniforms(seed, 3)) for seed in range(20_000)]
    counts = np.bincount(samples, minlength=6)
    assert counts[5] == 0
    expected = distribution[:5].astype(float)
    assert stats.chisquare(counts[:5], 20_000 * expected / expected.sum()).pvalue > 1e-3


def test_samples_over_many_steps_of_one_seed_have_the_stated_distribution() -> None:
    distribution = np.array([0.5, 0.25, 0.125, 0.125], np.float32)
    counts = np.bincount([sample_index(distribution, uniforms(7, step)) for step in range(20_000)], minlength=4)
    assert stats.chisquare(counts, 20_000 * distribution).pvalue > 1e-3


def test_temperature_zero_takes_the_largest_logit() -> None:
    distribution = probabilities(np.array([0.1, 3.0, 2.9], np.float32), Sampling(temperature=0))
    assert distribution.tolist() == [0, 1, 0]


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1 - 1e-16])
def test_a_token_of_probability_zero_is_never_sampled(uniform: float) -> None:
    assert sample_index(np.array([0, 0.5, 0, 0.5, 0], np.float32), uniform) in (1, 3)


def test_uniforms_depend_on_seed_and_step_alone() -> None:
    alone = uniforms(5, 9)
    uniforms(1, 1)
    assert uniforms(5, 9) == alone
    assert len({uniforms(seed, step) for seed in range(20) for step in range(20)}) == 400


@pytest.mark.parametrize("seed", [0, 5, 2**64 - 1])
def test_the_uniforms_of_all_steps_at_once_are_those_of_each(seed: int) -> None:
    assert step_uniforms(seed, 40).tolist() == [uniforms(seed, step) for step in range(40)]


def test_derived_seeds_differ_in_every_part_of_the_path() -> None:
    seeds = {derive_seed(seed, i, j) for seed in (0, 1, 2**64 - 1) for i in range(10) for j in range(10)}
    assert len(seeds) == 300 and max(seeds) < 2**64
