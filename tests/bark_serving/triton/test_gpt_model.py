"""Prompts that clients of Triton's protocol send to the GPT stages: what is wrong is refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from bark_serving.arrays import Array, Floats
from bark_serving.errors import InvalidRequest
from bark_serving.spec import GptSpec

pytestmark = pytest.mark.usefixtures("backend")

GPT = GptSpec(layers=1, heads=1, width=4, block_size=16, input_vocab=10, output_vocab=8)


def parse(table: Floats | None = None, *, ids: tuple[int, ...] = (0, 8, 9)) -> Floats:
    """The prompt of a request: ids below 8 are tokens, those from 8 on are rows of the table."""
    from bark_serving.triton.gpt_model import parse_generation

    inputs: dict[str, Array] = {
        "input_ids": np.array([ids], np.int32),
        "input_lengths": np.array([[len(ids)]], np.int32),
        "request_output_len": np.array([[2]], np.int32),
    }
    if table is not None:
        inputs["prompt_embedding_table"] = table[None]
    tokens = np.arange(40, dtype=np.float32).reshape(10, 4)
    return parse_generation(inputs, gpt=GPT, embed=lambda ids: tokens[ids], request_id="1").prompt


def test_ids_beyond_the_vocabulary_are_rows_of_the_table() -> None:
    table = np.array([[-1.0] * 4, [-2.0] * 4], np.float32)
    np.testing.assert_array_equal(parse(table), [[0, 1, 2, 3], [-1] * 4, [-2] * 4])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_table_of_numbers_that_are_not_finite_is_refused(value: float) -> None:
    table = np.zeros((2, 4), np.float32)
    table[1, 2] = value
    with pytest.raises(InvalidRequest, match="not finite numbers"):
        parse(table)


@pytest.mark.parametrize(
    ("table", "ids"),
    [(np.zeros((2, 5), np.float32), (0, 8, 9)), (np.zeros((2, 4), np.float32), (0, 10)), (None, (10,))],
)
def test_another_width_and_ids_that_nothing_has_are_refused(table: Floats | None, ids: tuple[int, ...]) -> None:
    with pytest.raises(InvalidRequest, match=r"must be|in 0\.\."):
        parse(table, ids=ids)
