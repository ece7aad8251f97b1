"""Sentence splitting, and the real tokenizer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bark_serving.speech.text import guess_language, normalise, split


def words(text: str) -> list[int]:
    return list(range(len(text.split())))


SENTENCES = {
    "en": "Dr. Smith went home. He was tired! Was he?",
    "de": "Das ist z.B. ein Satz. Am 3. Mai kam er. Ja!",
    "es": "El Sr. López llegó. ¿Qué tal? Bien.",
    "fr": "M. Dupont est là. Ça va ? Oui.",
    "hi": "नमस्ते। आप कैसे हैं? ठीक।",
    "it": "Il sig. Rossi è qui. Come va? Bene.",
    "ja": "こんにちは。元気ですか？はい！",
    "ko": "안녕하세요. 잘 지내세요? 네.",
    "pl": "Ala ma kota, np. Mruczka. Tak? Tak.",
    "pt": "Olá Sr. Silva. Tudo bem? Sim.",
    "ru": "Привет. Как дела? Хорошо.",
    "tr": "Merhaba. Nasılsın? İyiyim.",
    "zh": "你好。你好吗？很好！",
}


@pytest.mark.parametrize("language", SENTENCES)
def test_three_sentences_are_three_in_each_of_barks_languages(language: str) -> None:
    sentences = split(SENTENCES[language], language=language, tokenise=words, limit=256)
    assert len(sentences) == 3, sentences
    assert "".join(sentences).replace(" ", "") == SENTENCES[language].replace(" ", "")


@pytest.mark.parametrize(
    ("text", "voice", "language"),
    [
        ("Guten Tag", "v2/de_speaker_3", "de"),
        ("Guten Tag", "announcer", "en"),
        ("こんにちは世界", None, "ja"),
        ("你好世界", None, "zh"),
        ("안녕", None, "ko"),
        ("नमस्ते", None, "hi"),
        ("Привет", None, "ru"),
        ("hello", None, "en"),
        ("Dr. Smith said привет to Mr. Jones.", None, "en"),
        ("Он сказал hello и ушёл.", None, "ru"),
        ("我用 Python 写代码", None, "zh"),
        ("東京へ行きます", None, "ja"),
        ("1 + 1 = 2", None, "en"),
    ],
)
def test_the_language_comes_from_the_voice_or_the_script(text: str, voice: str | None, language: str) -> None:
    assert guess_language(text, voice=voice) == language


@given(st.text(min_size=1, max_size=300), st.integers(1, 12))
def test_pieces_fit_the_limit_and_lose_nothing_but_space(text: str, limit: int) -> None:
    pieces = split(text, language="en", tokenise=list, limit=limit)  # type: ignore[arg-type]
    assert all(0 < len(piece) <= limit for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


@pytest.mark.parametrize("language", SENTENCES)
@pytest.mark.parametrize("blank", ["\u00a0", "\u202f", "\u2009", "\u3000", "\u2028"])
def test_a_blank_beyond_ascii_is_a_blank(language: str, blank: str) -> None:
    pieces = split(f"Vitamin C{blank}. Then rest.", language=language, tokenise=words, limit=256)
    assert " ".join(pieces) == "Vitamin C . Then rest."


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_empty_line_ends_a_sentence(end: str) -> None:
    text = f"Chapter One{end}{end}It was dark."
    assert split(text, language="en", tokenise=words, limit=256) == ["Chapter One", "It was dark."]


def test_what_has_no_token_is_left_out() -> None:
    def seen(text: str) -> list[str]:
        return [word for word in text.split() if word != "\u200b"]

    assert split("Hello. \u200b\n\nNext one.", language="en", tokenise=seen, limit=256) == ["Hello.", "Next one."]
    assert split("\u200b", language="en", tokenise=seen, limit=256) == []


@given(st.lists(st.sampled_from(["one", "two"]), min_size=1, max_size=80), st.integers(1, 12))
def test_each_piece_is_the_largest_that_fits(many: list[str], limit: int) -> None:
    pieces = split(" ".join(many), language="en", tokenise=words, limit=limit)
    assert [len(piece.split()) for piece in pieces[:-1]] == [limit] * (len(pieces) - 1)


@pytest.mark.parametrize("tail", ["字", "\u200b", "\u0301"])
def test_cutting_reads_a_long_text_a_few_times_only(tail: str) -> None:
    """The time must not grow with the square of the length."""
    read = 0

    def ideographs(text: str) -> list[str]:
        nonlocal read
        read += len(text)
        return [letter for letter in text if letter == "字"]

    text = "字" * 300 + tail * 8_000
    assert "".join(split(text, language="zh", tokenise=ideographs, limit=256)) == text
    assert read < 100 * len(text)


def test_a_long_sentence_is_cut_at_its_clauses_first() -> None:
    pieces = split("one two three, four five six, seven eight.", language="en", tokenise=words, limit=6)
    assert pieces == ["one two three, four five six,", "seven eight."]


def test_whitespace_is_collapsed() -> None:
    assert normalise("  a\n b\t\tc ") == "a b c"
