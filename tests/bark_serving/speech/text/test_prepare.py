"""The whole way from a request's text to what is spoken, with Bark's real vocabulary."""

from __future__ import annotations

import time
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bark_serving.bundle import Vocabulary
from bark_serving.errors import InvalidRequest
from bark_serving.spec import TextSpec
from bark_serving.speech.text import Prepared, Reading, prepare
from bark_serving.speech.text.planning import Plan


def read(text: str, vocabulary: Vocabulary, *, limit: int = 256, voice: str | None = None, **how: Any) -> Prepared:
    spoken, plan = TextSpec().languages, Plan(limit, longest_s=15.4)
    return prepare(text, reading=Reading(**how), vocabulary=vocabulary, spoken=spoken, how=plan, voice=voice)


def said(text: str, vocabulary: Vocabulary, **how: Any) -> list[str]:
    return [piece.text for piece in read(text, vocabulary, **how).pieces]


@pytest.mark.parametrize("text", ["😀", "?!", "…", "—", "`", "**", "♪", "- - -", "\u200b", "。。。", "😀 !", "# "])
@pytest.mark.parametrize("how", [{}, {"split": False}, {"markdown": False}, {"fold_signs": False}])
def test_a_text_with_nothing_to_say_is_refused(text: str, how: dict[str, bool], bark: Vocabulary) -> None:
    with pytest.raises(InvalidRequest, match=r"text holds nothing to say: no letter and no digit"):
        read(text, bark, **how)


@pytest.mark.parametrize("text", ["Hello. 😀 Bye.", "Hello.\n?!\nBye.", "Hello.\n—\nBye.", "Hello.\n…\nBye."])
def test_pieces_with_nothing_to_say_are_left_out_of_a_text(text: str, bark: Vocabulary) -> None:
    found = read(text, bark)
    assert [piece.text for piece in found.pieces] == ["Hello. Bye."]
    assert any("left out" in note for note in found.notes)


def test_a_plain_text_is_split_and_nothing_more(bark: Vocabulary) -> None:
    text = "It is a very good morning! How are you doing so far? I made a cup of tea for my sister."
    found = read(text, bark)
    assert (" ".join(piece.text for piece in found.pieces), found.language, found.notes) == (text, "en", ())
    assert len(found.pieces) == 3


def test_what_a_language_model_writes_becomes_speech(bark: Vocabulary) -> None:
    text = "## Steps\n\n1. **Open** the “box”.\n2. Press `Start`\n\nDon’t worry… 😀"
    found = read(text, bark)
    pieces = [piece.text for piece in found.pieces]
    assert pieces == ["Steps", '1. Open the "box". 2. Press Start', "Don't worry..."]
    assert not any("UNK" in note or "unknown" in note for note in found.notes)
    assert all(bark.knows(piece) for piece in pieces)


def test_each_step_can_be_turned_off(bark: Vocabulary) -> None:
    text = "It’s **5** o'clock."
    assert said(text, bark) == ["It's 5 o'clock."]
    assert said(text, bark, markdown=False) == ["It's **5** o'clock."]
    assert said(text, bark, fold_signs=False) == ["It’s 5 o'clock."]
    assert said(text, bark, spell_numbers=True) == ["It's five o'clock."]


def test_other_forms_of_letters_are_plain_ones_before_anything_is_read(bark: Vocabulary) -> None:
    assert said("時速６０ｋｍです。", bark, spell_numbers=True) == ["時速六十キロメートルです。"]
    found = read("𝐇𝐞𝐥𝐥𝐨 my friend, how is the ﬁsh?", bark)
    assert ([piece.text for piece in found.pieces], found.language) == (["Hello my friend, how is the fish?"], "en")
    assert found.notes == (
        "letters that this checkpoint's tokenizer lacks are read as others: 𝐇𝐞𝐥𝐥𝐨 as Hello, ﬁ as fi.",
    )
    assert said("The ﬁsh.", bark, fold_signs=False) == ["The ﬁsh."]


@pytest.mark.parametrize("text", ["안녕하세요.", "naïve", "がんばって。", "İstanbul", "Ёлка"])
def test_a_decomposed_text_is_spoken_as_the_composed_one(text: str, bark: Vocabulary) -> None:
    assert read(unicodedata.normalize("NFD", text), bark) == read(text, bark)


def test_marks_of_bark_reach_the_tokenizer_as_they_are(bark: Vocabulary) -> None:
    text = "[laughs] MAN: Hello THERE! ♪ La la la ♪"
    assert " ".join(said(text, bark)) == text


def test_a_text_that_is_mostly_unknown_is_told(bark: Vocabulary, miniature: Vocabulary) -> None:
    assert not any("unknown" in note for note in read("Привет, как дела?", bark).notes)
    assert any("tokens are unknown" in note and "'Привет'" in note for note in read("Привет !", miniature).notes)


def test_a_text_in_one_piece_has_its_limit(bark: Vocabulary) -> None:
    with pytest.raises(InvalidRequest, match="text has 300 tokens; one sentence holds 256"):
        read("a " * 300, bark, split=False)
    assert said("One. Two.", bark, split=False) == ["One. Two."]


#: Signs that stand beside each other by the thousand where a text is long and odd.
STRETCHES = [
    "\n",
    "\n ",
    " \n",
    "\r\n",
    "\n\t",
    "\u2028",
    " ",
    "\xa0",
    "1",
    "0 ",
    "000 ",
    ".",
    "1.",
    "a.",
    "'",
    '"a',
    "[",
    "[^",
    "[voice x",
]
STRETCHES += ["[pause-", "(", "]", "a", "Ｎ", "ﾞ", "日", "-", "- ", "=", "<a", "*", "`", ">", "#", "|", "_", "\\", "!"]


@pytest.mark.parametrize("stretch", STRETCHES)
def test_a_long_stretch_of_one_sign_takes_no_longer_than_another_text(stretch: str, bark: Vocabulary) -> None:
    text = f"Hello.{stretch * (19_990 // len(stretch))}Bye."
    started = time.process_time()
    read(text, bark, spell_numbers=True)
    assert time.process_time() - started < 5


@given(st.text(max_size=200), st.integers(3, 40))
def test_whatever_comes_every_piece_fits_a_prompt(bark: Vocabulary, text: str, limit: int) -> None:
    try:
        found = read(text, bark, limit=limit, spell_numbers=True)
    except InvalidRequest:
        return
    assert found.pieces
    assert all(0 < len(bark.tokenise(piece.text)) <= limit for piece in found.pieces)
