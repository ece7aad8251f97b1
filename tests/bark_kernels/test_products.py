"""Products, normalization and GELU against numpy, at random sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bark_kernels import pack_linear, parts, unpack_linear
from tests.bark_kernels.networks import EXAMPLES, cosine, gelu

slowly = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
sizes = {
    "rows": st.integers(1, 60),
    "columns": st.integers(1, 150),
    "sixteens": st.integers(1, 40),
    "seed": st.integers(0, 2**32 - 1),
}


def normal(seed: int, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def quantized(x: np.ndarray, block: int) -> np.ndarray:
    """What the kernels make of activations: int8 in blocks."""
    blocks = x.reshape(len(x), -1, block)
    largest = np.maximum(np.abs(blocks).max(-1, keepdims=True), np.float32(1e-12))
    steps = np.rint(blocks * (np.float32(127) / largest))
    return (steps * (largest / np.float32(127)).astype(np.float64)).reshape(x.shape)


@slowly
@given(**sizes)
def test_eight_bits_give_numpys_product(instruction_set: str, rows: int, columns: int, sixteens: int, seed: int):
    x, w, bias = normal(seed, (rows, 16 * sixteens), (columns, 16 * sixteens), (columns,))
    packed = pack_linear(w, bias)
    expected = quantized(x, packed.block) @ unpack_linear(packed).T.astype(np.float64) + bias
    found = parts.linear(packed, x, instruction_set=instruction_set)
    assert np.abs(found - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


@slowly
@given(**sizes)
def test_four_bits_give_numpys_product(instruction_set: str, rows: int, columns: int, sixteens: int, seed: int):
    x, w, bias = normal(seed, (rows, 32 * sixteens), (columns, 32 * sixteens), (columns,))
    packed = pack_linear(w, bias, bits=4)
    expected = quantized(x, packed.block) @ unpack_linear(packed).T.astype(np.float64) + bias
    found = parts.linear(packed, x, instruction_set=instruction_set)
    assert np.abs(found - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


@slowly
@given(**sizes)
def test_gelu_is_the_exact_one(instruction_set: str, rows: int, columns: int, sixteens: int, seed: int):
    x, w = normal(seed, (rows, 16 * sixteens), (columns, 16 * sixteens))
    packed = pack_linear(w)
    before = parts.linear(packed, x, instruction_set=instruction_set)
    found = parts.linear(packed, x, instruction_set=instruction_set, gelu=True)
    np.testing.assert_allclose(found, gelu(before), atol=2e-6, rtol=2e-6)


@slowly
@given(rows=st.integers(1, 5), sixteens=st.integers(1, 80), seed=st.integers(0, 2**32 - 1))
def test_normalization_is_numpys(instruction_set: str, rows: int, sixteens: int, seed: int):
    x, gain, bias = normal(seed, (rows, 16 * sixteens), (16 * sixteens,), (16 * sixteens,))
    centred = x.astype(np.float64) - x.mean(-1, keepdims=True, dtype=np.float64)
    expected = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * gain + bias
    found = parts.normalize(x, gain, bias, instruction_set=instruction_set)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)


@slowly
@given(**sizes, bits=st.sampled_from((8, 4)))
def test_a_row_does_not_depend_on_others(
    instruction_set: str, rows: int, columns: int, sixteens: int, seed: int, bits: int
):
    x, w = normal(seed, (rows, 32 * sixteens), (columns, 32 * sixteens))
    packed = pack_linear(w, bits=bits)
    together = parts.linear(packed, x, instruction_set=instruction_set)
    for i in range(rows):
        np.testing.assert_array_equal(
            together[i], parts.linear(packed, x[i : i + 1], instruction_set=instruction_set)[0]
        )


@pytest.mark.parametrize("value", [0.0, 1e-30, 1e4])
def test_extreme_rows_are_quantized_soundly(instruction_set: str, value: float):
    (w,) = normal(0, (20, 64))
    x = np.full((2, 64), value, np.float32)
    found = parts.linear(pack_linear(w), x, instruction_set=instruction_set)
    np.testing.assert_allclose(found, x @ unpack_linear(pack_linear(w)).T, atol=1e-12, rtol=1e-4)


def test_all_extreme_steps_do_not_overflow(instruction_set: str):
    x, w = np.ones((7, 3072), np.float32), np.ones((33, 3072), np.float32)
    np.testing.assert_allclose(parts.linear(pack_linear(w), x, instruction_set=instruction_set), 3072, rtol=1e-5)
    np.testing.assert_allclose(parts.linear(pack_linear(-w), x, instruction_set=instruction_set), -3072, rtol=1e-5)


@pytest.mark.parametrize(("bits", "least"), [(8, 0.9999), (4, 0.995)])
def test_quantized_products_are_near_the_true_ones(instruction_set: str, bits: int, least: float):
    x, w = normal(1, (8, 768), (256, 768))
    assert cosine(parts.linear(pack_linear(w, bits=bits), x, instruction_set=instruction_set), x @ w.T) > least
