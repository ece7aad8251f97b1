"""Whole networks: near numpy's, and the same bits however they are computed."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bark_kernels import Gpt
from tests.bark_kernels.networks import EXAMPLES, cosine, random_network, reference

SHAPES = [
    {"heads": 3, "head_width": 16, "columns": 37},
    {"heads": 1, "head_width": 48, "columns": 16},
    {"heads": 5, "head_width": 64, "columns": 130, "layers": 3},
]


def embeddings(count: int, width: int, *, seed: int = 9) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)


@pytest.mark.parametrize(("bits", "least"), [(8, 0.999), (4, 0.998)])
@pytest.mark.parametrize("shape", SHAPES)
def test_logits_are_near_numpys(tmp_path: Path, instruction_set: str, shape: dict[str, int], bits: int, least: float):
    """The reference has the packed weights and exact activations."""
    heads, width = shape["heads"], shape["heads"] * shape["head_width"]
    shape = shape | ({"head_width": 32} if bits == 4 and shape["head_width"] * heads % 32 else {})
    width = heads * shape["head_width"]
    weights, sizes, tensors = random_network(tmp_path, bits=bits, **shape)
    x = embeddings(40, width)
    expected = reference(tensors, sizes, x)
    gpt = Gpt(weights, sizes, threads=2, instruction_set=instruction_set)
    assert cosine(gpt.prefill(0, x[:30]), expected[29]) > least
    assert cosine(gpt.decode(x[30:31], np.array([30])), expected[30]) > least
    assert cosine(gpt.prefill(0, x[:3]), expected[2]) > least


@pytest.mark.parametrize("count", [9, 40])
def test_a_bidirectional_pass_is_near_numpys(tmp_path: Path, instruction_set: str, count: int):
    weights, sizes, tensors = random_network(tmp_path, causal=False, outputs=("first", "second"))
    x = embeddings(count, sizes.width)
    gpt = Gpt(weights, sizes, threads=2, instruction_set=instruction_set)
    for index, name in enumerate(sizes.outputs):
        assert cosine(gpt.encode(x, output=index), reference(tensors, sizes, x, output=name)) > 0.999


@pytest.mark.parametrize("bits", [8, 4])
def test_a_step_gives_what_a_prefill_gives(tmp_path: Path, instruction_set: str, bits: int):
    weights, sizes, _ = random_network(tmp_path, head_width=32, bits=bits)
    x = embeddings(40, sizes.width)
    gpt = Gpt(weights, sizes, instruction_set=instruction_set)
    gpt.prefill(0, x[:5])
    for n in range(5, 40):
        step = gpt.decode(x[n : n + 1], np.array([n]))[0]
        if n in (5, 17, 18, 33, 39):
            np.testing.assert_array_equal(
                Gpt(weights, sizes, instruction_set=instruction_set).prefill(0, x[: n + 1]), step
            )


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.sets(st.integers(1, 38), max_size=6), threads=st.integers(1, 4))
def test_a_prefill_in_parts_is_a_whole_one(tmp_path: Path, instruction_set: str, cuts: set[int], threads: int):
    weights, sizes, _ = random_network(tmp_path)
    x = embeddings(39, sizes.width)
    expected = Gpt(weights, sizes, instruction_set=instruction_set).prefill(0, x)
    gpt = Gpt(weights, sizes, threads=threads, instruction_set=instruction_set)
    edges = [0, *sorted(cuts), 39]
    for start, end in itertools.pairwise(edges):
        found = gpt.prefill(0, x[start:end], start=start)
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(1, 38), min_size=1, max_size=19), threads=st.integers(1, 3))
def test_a_row_does_not_depend_on_company(tmp_path: Path, instruction_set: str, lengths: list[int], threads: int):
    weights, sizes, _ = random_network(tmp_path, heads=3, columns=21)
    x = embeddings(40, sizes.width)
    company = Gpt(weights, sizes, rows=len(lengths), threads=threads, instruction_set=instruction_set)
    alone = Gpt(weights, sizes, instruction_set=instruction_set)
    for row, length in enumerate(lengths):
        company.prefill(row, x[:length])
    found = company.decode(x[lengths], np.array(lengths))
    for row, length in enumerate(lengths):
        alone.prefill(0, x[:length])
        np.testing.assert_array_equal(alone.decode(x[length : length + 1], np.array([length]))[0], found[row])


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
@pytest.mark.parametrize("length", [5, 16, 21])
def test_a_sequence_does_not_depend_on_numbers_that_another_left_in_its_row(
    tmp_path: Path, instruction_set: str, value: float, length: int
):
    weights, sizes, _ = random_network(tmp_path)
    x = embeddings(40, sizes.width)
    used, fresh = (Gpt(weights, sizes, instruction_set=instruction_set) for _ in range(2))
    used.prefill(0, np.full_like(x, value))
    for gpt in (used, fresh):
        gpt.prefill(0, x[:length])
    for at in range(length, 40):
        found, expected = (gpt.decode(x[at : at + 1], np.array([at])) for gpt in (used, fresh))
        assert np.isfinite(expected).all()
        np.testing.assert_array_equal(found, expected)


def test_a_moved_row_goes_on_as_before(tmp_path: Path, instruction_set: str):
    weights, sizes, _ = random_network(tmp_path)
    x = embeddings(40, sizes.width)
    gpt = Gpt(weights, sizes, rows=3, instruction_set=instruction_set)
    for row, length in ((0, 7), (1, 12), (2, 29)):
        gpt.prefill(row, x[:length])
    expected = gpt.decode(x[[7, 12, 29]], np.array([7, 12, 29]))
    gpt.move(2, 0, 29)
    np.testing.assert_array_equal(gpt.decode(x[[29, 12]], np.array([29, 12])), expected[[2, 1]])


def test_every_instruction_set_gives_the_same_bits(tmp_path: Path):
    import bark_kernels

    weights, sizes, _ = random_network(tmp_path, heads=5, head_width=48, columns=99)
    x = embeddings(40, sizes.width)
    found = [
        np.stack([gpt.prefill(0, x[:39]), gpt.decode(x[39:], np.array([39]))[0]])
        for gpt in (Gpt(weights, sizes, instruction_set=name) for name in bark_kernels.instruction_sets())
    ]
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_calls_from_several_threads_take_turns(tmp_path: Path, instruction_set: str):
    from concurrent.futures import ThreadPoolExecutor

    weights, sizes, _ = random_network(tmp_path, causal=False)
    gpt = Gpt(weights, sizes, threads=3, instruction_set=instruction_set)
    inputs = [embeddings(40, sizes.width, seed=seed) for seed in range(6)]
    expected = [gpt.encode(x) for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            for found, wanted in zip(pool.map(gpt.encode, inputs), expected, strict=True):
                np.testing.assert_array_equal(found, wanted)
