"""Signs of a text: composed, replaced by what the tokenizer has, or left out with a note."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bark_serving.bundle import Vocabulary
from bark_serving.speech.text import signs


@pytest.mark.parametrize("text", ["안녕하세요", "naïve", "が", "İstanbul", "Ёлка", "Ångström", "Việt"])
def test_a_decomposed_text_has_the_tokens_of_the_composed_one(text: str, bark: Vocabulary) -> None:
    decomposed = unicodedata.normalize("NFD", text)
    assert decomposed != text
    assert signs.compose(decomposed) == text
    assert bark.tokenise(signs.compose(decomposed)) == bark.tokenise(text) != bark.tokenise(decomposed)
    assert bark.knows(text)


@pytest.mark.parametrize("text", ["①", "ﬁne", "２０", "m²"])
def test_composing_keeps_signs_that_only_look_alike(text: str) -> None:
    assert signs.compose(text) == text


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("don’t", "don't"),
        ("“Quote” and ‘quote’", "\"Quote\" and 'quote'"),
        ("now — or 5–7", "now - or 5-7"),
        ("well…", "well..."),
        ("non‑breaking ‐ hyphen", "non-breaking - hyphen"),
        ("♫ La la ♫", "♪ La la ♪"),
    ],
)
def test_typographic_signs_become_what_barks_tokenizer_has(text: str, folded: str, bark: Vocabulary) -> None:
    assert not bark.knows(text)
    cleaned = signs.fold(text, knows=bark.knows)
    assert cleaned.text == folded and bark.knows(folded)
    assert len(cleaned.notes) == 1 and "read as others" in cleaned.notes[0]


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("The ﬁrst oﬃce ﬂoor", "The first office floor"),
        ("ＮＨＫのニュースを見た。", "NHKのニュースを見た。"),
        ("Ｔシャツを２枚", "Tシャツを2枚"),
        ("ＡＧＥは", "AGEは"),  # the vocabulary has "Ａ", but not with what follows
        ("ﾃﾚﾋﾞを見る。", "テレビを見る。"),
        ("カﾞ", "ガ"),
        ("𝐇𝐞𝐥𝐥𝐨, 𝓕𝓻𝓲𝓮𝓷𝓭", "Hello, Friend"),
        ("page ⅷ, ⑦", "page viii, 7"),
    ],
)
def test_other_forms_of_letters_become_what_barks_tokenizer_has(text: str, folded: str, bark: Vocabulary) -> None:
    assert not bark.knows(text)
    cleaned = signs.fold_letters(text, knows=bark.knows)
    assert cleaned.text == folded and bark.knows(folded)
    assert len(cleaned.notes) == 1 and "letters that this checkpoint's tokenizer lacks" in cleaned.notes[0]


@pytest.mark.parametrize("text", ["5 m², x² ½ 2¾", "１０", "Ⅳ ① ℝ CO₂", "µm", "ㄱㄴ", "Привет", "가나다", "Œuvre ĉ"])
def test_letters_that_the_tokenizer_has_or_that_are_read_as_numbers_stay(text: str, bark: Vocabulary) -> None:
    assert signs.fold_letters(text, knows=bark.knows) == signs.Cleaned(text)


def test_superscripts_and_fractions_stay_where_the_tokenizer_lacks_them(miniature: Vocabulary) -> None:
    assert signs.fold_letters("m² ½ ⁿ", knows=miniature.knows) == signs.Cleaned("m² ½ ⁿ")
    assert signs.fold_letters("ﬁne", knows=miniature.knows).text == "fine"


@pytest.mark.parametrize(
    "text", ["Plain: text, with (signs) & $5!", "«Ça va ?»", "[laughs] ♪ la ♪", "「はい。」", "¿Qué?"]
)
def test_what_barks_tokenizer_has_stays(text: str, bark: Vocabulary) -> None:
    assert signs.fold(text, knows=bark.knows) == signs.leave_out(text, knows=bark.knows) == signs.Cleaned(text)


@pytest.mark.parametrize("emoji", ["😀", "❤️", "👨‍👩‍👧", "🇩🇪", "👍🏽"])
def test_an_emoji_is_left_out_and_told(emoji: str, bark: Vocabulary) -> None:
    cleaned = signs.leave_out(f"Hello {emoji} there", knows=bark.knows)
    assert cleaned.text.split() == ["Hello", "there"]
    assert len(cleaned.notes) == 1 and emoji[0] in cleaned.notes[0]


@pytest.mark.parametrize("sign", ["\u00ad", "\u200b", "\u200d", "\ufeff", "\u2060"])
def test_what_is_not_seen_is_left_out_within_a_word(sign: str, bark: Vocabulary) -> None:
    assert signs.leave_out(f"co{sign}operate", knows=bark.knows) == signs.Cleaned("cooperate")


@pytest.mark.parametrize("text", ["हिन्दी में कितना", "தமிழ்", "ไทยนี้"])
def test_marks_of_letters_are_no_signs(text: str, bark: Vocabulary) -> None:
    assert signs.leave_out(text, knows=bark.knows).text == text


def test_a_tag_is_left_out_whole_where_brackets_are_unknown(miniature: Vocabulary) -> None:
    cleaned = signs.leave_out("Hello [laughs] you", knows=miniature.knows)
    assert cleaned.text.split() == ["Hello", "you"]
    assert "[laughs]" in cleaned.notes[0]


@given(st.text(max_size=100))
def test_no_letter_or_digit_is_touched(bark: Vocabulary, text: str) -> None:
    text = signs.compose(text)
    cleaned = signs.leave_out(signs.fold(text, knows=bark.knows).text, knows=bark.knows).text
    kept = [sign for sign in text if sign.isalnum()]
    assert set(kept) <= set(cleaned)
    assert [sign for sign in cleaned if sign in kept][: len(kept)] == kept or not text.isalnum()


def test_a_word_that_is_too_long_for_the_tokenizer_is_cut(bark: Vocabulary) -> None:
    cleaned = signs.cut_long_words("a " + "9" * 5_000 + " b", knows=bark.knows, limit=bark.max_word)
    assert cleaned.text.replace(" ", "") == "a" + "9" * 5_000 + "b"
    assert bark.unknown not in bark.tokenise(cleaned.text)
    assert cleaned.notes == ("cut 1 word of more than 100 characters.",)


@pytest.mark.parametrize("text", ["字" * 300, "a-" * 200, "x" * 100])
def test_a_long_word_that_the_tokenizer_takes_apart_itself_stays(text: str, bark: Vocabulary) -> None:
    assert signs.cut_long_words(text, knows=bark.knows, limit=bark.max_word) == signs.Cleaned(text)


def test_kana_without_a_blank_are_cut_too(bark: Vocabulary) -> None:
    assert not bark.knows("あ" * 101)
    assert bark.knows(signs.cut_long_words("あ" * 101, knows=bark.knows, limit=bark.max_word).text)
