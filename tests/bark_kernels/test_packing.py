"""The layout of packed weights, byte by byte, and the quantization's error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bark_kernels import pack_linear, unpack_linear


@pytest.mark.parametrize(("bits", "unit"), [(8, 16), (4, 32)])
@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 60), units=st.integers(1, 20), seed=st.integers(0, 2**32 - 1))
def test_unpacking_is_within_half_a_step(bits: int, unit: int, n: int, units: int, seed: int):
    weight = np.random.default_rng(seed).standard_normal((n, units * unit)).astype(np.float32)
    packed = pack_linear(weight, bits=bits)
    steps = np.abs(packed.scales.transpose(0, 2, 1).reshape(-1, packed.scales.shape[1])[:n]).repeat(packed.block, 1)
    # with 4 bits, a value near the one of largest size with the other sign is cut to step 7
    slack = 0.5 if bits == 8 else 1.0
    assert (np.abs(unpack_linear(packed) - weight) <= slack * steps * 1.001).all()
    assert packed.inputs == weight.shape[1]


def test_eight_bits_lie_in_panels_of_sixteen():
    weight = np.arange(20 * 16, dtype=np.float32).reshape(20, 16) - 160
    packed = pack_linear(weight)
    assert packed.weights.shape == (2, 4, 16, 4)
    step = int(np.rint(weight[18, 9] / np.abs(weight[18]).max() * 127))
    assert packed.weights[1, 2, 2, 1] == step + 128  # column 18 = 16 + 2, input 9 = 2 × 4 + 1
    assert (packed.weights[1, :, 4:] == 128).all()  # columns that are not there are zero


def test_four_bits_lie_two_in_a_byte():
    weight = np.zeros((3, 32), np.float32)
    weight[2, 13], weight[2, 9], weight[2, 0] = -8, 5, 7
    packed = pack_linear(weight, bits=4)
    assert packed.weights.shape == (1, 4, 16, 4)
    assert packed.weights[0, 1, 2, 1] == (0 << 4 | 13)  # inputs 9 and 13: steps 5 and -8


def test_the_block_divides_the_inputs():
    assert pack_linear(np.ones((1, 768), np.float32)).block == 256
    assert pack_linear(np.ones((1, 192), np.float32)).block == 64
    assert pack_linear(np.ones((1, 768), np.float32), bits=4).block == 32
