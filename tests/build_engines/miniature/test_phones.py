"""Phones from the teacher's symbols, and the semantic tokens of phones."""

from __future__ import annotations

import numpy as np
import pytest

from build_engines.miniature.phones import TAIL_S, Phone, end_of_speech, joined, tokens_of
from build_engines.miniature.recipe import PHONES, Recipe

RECIPE = Recipe()


def first_token(symbol: str) -> int:
    return RECIPE.phone_parts * PHONES.index(symbol)


def test_marks_of_stress_and_length_belong_to_their_phone() -> None:
    phones = joined(list(".tˈiː n̩."), [0.1] * 9, start_s=1.0)
    assert [phone.symbol for phone in phones] == [".", "t", "ˈiː", " ", "n̩", "."]
    np.testing.assert_allclose([phone.start_s for phone in phones], [1.0, 1.1, 1.2, 1.5, 1.6, 1.8])
    np.testing.assert_allclose([phone.end_s for phone in phones], [1.1, 1.2, 1.5, 1.6, 1.8, 1.9])


def test_a_recording_ends_shortly_after_its_last_sound() -> None:
    phones = [Phone(".", 0.0, 0.1), Phone("t", 0.1, 0.2), Phone("?", 0.2, 0.5), Phone(".", 0.5, 0.9)]
    assert end_of_speech(phones) == pytest.approx(0.2 + TAIL_S)
    assert end_of_speech(phones[:2]) == 0.2
    assert end_of_speech(phones[:1]) == 0.1  # a text without sounds


def test_a_token_is_the_part_of_the_phone_that_sounds_in_the_middle_of_its_time() -> None:
    phones = [Phone("t", 0.0, 0.06), Phone("ˈiː", 0.06, 0.18), Phone("z", 0.18, 0.2), Phone(".", 0.2, 0.3)]
    tokens = tokens_of(phones, 12, recipe=RECIPE)
    t, iy, z = first_token("t"), first_token("ˈiː"), first_token("z")
    assert tokens[:10].tolist() == [t, t + 1, t + 2, iy, iy, iy + 1, iy + 1, iy + 2, iy + 2, z + 1]
    assert set(tokens[10:]) <= {first_token(".") + part for part in range(3)}
    assert tokens.dtype == np.int32


@pytest.mark.parametrize(
    ("symbol", "known"),
    [("ˈt", "t"), ("tː", "t"), ("ˌɐː", "ˌɐ"), ("ɒ", "."), (";", ","), ("!", "!")],
)
def test_a_phone_that_is_not_known_counts_as_the_most_similar_one(symbol: str, known: str) -> None:
    assert tokens_of([Phone(symbol, 0.0, 0.02)], 1, recipe=RECIPE).tolist() == [first_token(known) + 1]
