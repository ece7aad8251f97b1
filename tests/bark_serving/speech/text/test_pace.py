"""The expected length of a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bark_serving.speech.text.pace import seconds
from tests.bark_serving.speech.text.declaration import ARTICLE, LANGUAGES


def test_english_is_spoken_at_about_150_words_per_minute() -> None:
    words = ARTICLE["en"].split()
    assert 60 * len(words) / seconds(ARTICLE["en"], language="en") == pytest.approx(150, rel=0.1)


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "ja"])
def test_the_same_text_takes_about_as_long_in_each_language(language: str) -> None:
    english = seconds(ARTICLE["en"], language="en")
    assert seconds(ARTICLE[language], language=language) == pytest.approx(english, rel=0.15)


def test_the_wordy_japanese_text_takes_at_most_half_as_long_again() -> None:
    assert 1 <= seconds(ARTICLE["ja"], language="ja") / seconds(ARTICLE["en"], language="en") <= 1.5


@pytest.mark.parametrize(("text", "at_least"), [("1984", 1.5), ("5 %", 0.7), ("[laughs]", 0.4), ("字", 0.2)])
def test_what_is_read_in_words_takes_time(text: str, at_least: float) -> None:
    assert seconds(text, language="en") >= at_least


@pytest.mark.parametrize("text", ["", " \n", "…", "?!", "- —", "♪", "\u0301"])
def test_signs_and_blanks_take_none(text: str) -> None:
    assert seconds(text, language="en") == 0


@given(st.sampled_from(LANGUAGES), st.text(max_size=40), st.text(max_size=40))
def test_joined_texts_take_as_long_as_their_parts(language: str, left: str, right: str) -> None:
    parts = seconds(left, language=language) + seconds(right, language=language)
    assert seconds(left + right, language=language) == pytest.approx(parts)
