"""Attention over the int8 cache against numpy, at random sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bark_kernels import parts
from tests.bark_kernels.networks import EXAMPLES, cosine, softmax_attention

slowly = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def normal(seed: int, *shape: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(np.float32) for _ in range(3)]


@slowly
@given(
    count=st.integers(1, 300),
    sixteens=st.integers(1, 8),
    causal=st.booleans(),
    sharpness=st.floats(0.1, 8),
    seed=st.integers(0, 2**32 - 1),
)
def test_attention_is_near_numpys(
    instruction_set: str, count: int, sixteens: int, causal: bool, sharpness: float, seed: int
):
    q, k, v = normal(seed, count, 16 * sixteens)
    q *= np.float32(sharpness)
    found = parts.attention(q, k, v, causal=causal, instruction_set=instruction_set)
    expected = softmax_attention(q, k, v, causal=causal)
    # int8 keys move a score by up to sharpness × 2 %
    assert cosine(found, expected) > 1 - 1e-4 * max(1.0, sharpness) ** 2


@pytest.mark.parametrize("count", [1, 5, 16, 17, 257, 700])
def test_a_prefix_attends_as_in_the_whole(instruction_set: str, count: int):
    q, k, v = normal(2, 701, 48)
    whole = parts.attention(q, k, v, causal=True, instruction_set=instruction_set)
    part = parts.attention(q[:count], k[:count], v[:count], causal=True, instruction_set=instruction_set)
    np.testing.assert_array_equal(whole[:count], part)


def test_one_position_gives_its_value(instruction_set: str):
    q, k, v = normal(3, 1, 64)
    found = parts.attention(q, k, v, causal=True, instruction_set=instruction_set)
    np.testing.assert_allclose(found, v, atol=np.abs(v).max() / 127)


def test_equal_keys_give_the_mean_of_values(instruction_set: str):
    q, _, v = normal(4, 1000, 32)
    found = parts.attention(q, np.zeros_like(q), v, causal=False, instruction_set=instruction_set)
    np.testing.assert_allclose(found, np.broadcast_to(v.mean(0), v.shape), atol=2e-3)


def test_a_key_that_outweighs_all_others_wins(instruction_set: str):
    q, k, v = normal(5, 50, 16)
    q[:], k[:] = 0, 0
    q[:, 0], k[7, 0] = 400, 400
    found = parts.attention(q, k, v, causal=False, instruction_set=instruction_set)
    np.testing.assert_allclose(found, np.broadcast_to(v[7], v.shape), atol=np.abs(v[7]).max() / 127)
