"""Pieces of a text: what is joined, what is cut, and that nothing is lost; with Bark's real vocabulary."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bark_serving.bundle import Vocabulary
from bark_serving.errors import InvalidRequest
from bark_serving.spec import TextSpec
from bark_serving.speech.text import Reading, prepare
from bark_serving.speech.text.cutting import SHORT_S
from bark_serving.speech.text.planning import Piece, Plan
from tests.bark_serving.speech.text.declaration import ARTICLE, LANGUAGES, without_stops

LONGEST_S = 15.4  #: the longest speech of Bark

YES_NO = {
    "de": ["Ja.", "Nein.", "Na ja."],
    "en": ["Yes.", "No.", "Maybe."],
    "es": ["Sí.", "No.", "Quizás."],
    "fr": ["Oui.", "Non.", "Bof !"],
    "hi": ["हाँ।", "नहीं।", "शायद।"],
    "it": ["Sì.", "No.", "Forse."],
    "ja": ["はい。", "いいえ。", "さあ。"],
    "ko": ["네.", "아니요.", "글쎄요."],
    "pl": ["Tak.", "Nie.", "Może."],
    "pt": ["Sim.", "Não.", "Talvez."],
    "ru": ["Да.", "Нет.", "Не знаю."],
    "tr": ["Evet.", "Hayır.", "Belki."],
    "zh": ["是。", "不是。", "好吧。"],
}


def pieces_of(text: str, vocabulary: Vocabulary, *, language: str = "en", tokens: int = 256, **how: Any) -> list[Piece]:
    plan = Plan(tokens, longest_s=how.pop("longest_s", LONGEST_S), **how)
    reading = Reading(language=language, markdown=False)
    return list(prepare(text, reading=reading, vocabulary=vocabulary, spoken=TextSpec().languages, how=plan).pieces)


def texts(pieces: list[Piece]) -> list[str]:
    return [piece.text for piece in pieces]


def letters(text: str) -> str:
    return "".join(sign for sign in text if sign.isalnum())


@pytest.mark.parametrize("language", LANGUAGES)
def test_short_neighbours_are_spoken_together(language: str, bark: Vocabulary) -> None:
    glue = "" if language in ("ja", "zh") else " "
    text = glue.join(YES_NO[language])
    assert texts(pieces_of(text, bark, language=language)) == [text]


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_that_are_neither_short_nor_long_stay_alone(language: str, bark: Vocabulary) -> None:
    pieces = pieces_of(ARTICLE[language], bark, language=language)
    assert len(pieces) == 2  # the Spanish article is one sentence, and long
    assert all(piece.sentence != (language == "es" and piece is pieces[1]) for piece in pieces)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("times", [2, 3, 5])
def test_a_text_without_a_stop_ends_well_before_the_limit(language: str, times: int, bark: Vocabulary) -> None:
    glue = "" if language in ("ja", "zh") else " "
    pieces = pieces_of(glue.join([without_stops(language)] * times), bark, language=language)
    assert sum(piece.seconds for piece in pieces) / len(pieces) == pytest.approx(7, rel=0.25)
    assert all(4 < piece.seconds < 0.65 * LONGEST_S for piece in pieces)
    assert [piece.sentence for piece in pieces] == [True] + [False] * (len(pieces) - 1)


def test_79_words_without_a_stop_are_cut_where_a_speaker_would_breathe(bark: Vocabulary) -> None:
    text = (
        "the old man walked down to the river where he had once seen a boat that nobody could remember and he thought "
        "of all the people who had lived there before the war came and took them away to places whose names he had "
        "never learned to say because no one had told him that the world was larger than the valley in which he was "
        "born and raised by his mother who sang to him until he slept"
    )
    assert len(text.split()) == 79
    pieces = pieces_of(text, bark)
    assert " ".join(texts(pieces)) == text
    assert max(piece.seconds for piece in pieces) < 10
    assert {piece.text.split()[0] for piece in pieces[1:]} <= {"and", "where", "that", "who", "because", "than"}


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("1. First. 2. Second. 3. Third.", ["1. First. 2. Second. 3. Third."]),
        ("Yes. I made a cup of tea for my sister.", ["Yes. I made a cup of tea for my sister."]),
        ("I made a cup of tea for my sister. Bye.", ["I made a cup of tea for my sister. Bye."]),
        (
            "I made a cup of tea for my sister. No. She does not like any coffee at all.",
            ["I made a cup of tea for my sister. No.", "She does not like any coffee at all."],
        ),
        ("Yes. No.\n\nMaybe.", ["Yes. No.", "Maybe."]),
        ("Roses are red\nViolets are blue", ["Roses are red, Violets are blue"]),
        ("Wait…\nWhat?", ["Wait... What?"]),
        ("[sighs] No. [laughs] Yes.", ["[sighs] No. [laughs] Yes."]),
        ("♪ La la. Lo lo. ♪", ["♪ La la. Lo lo. ♪"]),
        ("♪ La la ♪\n♪ Lo lo ♪", ["♪ La la, Lo lo ♪"]),
        ("MAN: Hi.\nWOMAN: Hello.", ["MAN: Hi. WOMAN: Hello."]),
        ("Yes. [pause 1s] No.", ["Yes.", "No."]),
    ],
)
def test_what_is_joined(text: str, pieces: list[str], bark: Vocabulary) -> None:
    assert texts(pieces_of(text, bark)) == pieces


def test_a_short_first_sentence_does_not_wait_for_a_long_one(bark: Vocabulary) -> None:
    long = "I made a cup of tea for my sister before she went to the station to meet her old friend."
    assert texts(pieces_of(f"Yes. {long}", bark)) == ["Yes.", long]
    assert len(pieces_of(f"{long} Yes. {long}", bark)) == 2


def test_joining_stops_as_soon_as_a_piece_is_not_short(bark: Vocabulary) -> None:
    pieces = pieces_of("Yes. No. " * 20, bark)
    assert all(SHORT_S <= piece.seconds < 2 * SHORT_S for piece in pieces)


def test_another_duration_makes_longer_and_shorter_pieces(bark: Vocabulary) -> None:
    text = " ".join([without_stops("en")] * 4)
    mean = {
        target: sum(piece.seconds for piece in pieces) / len(pieces)
        for target in (3.0, 7.0, 11.0)
        if (pieces := pieces_of(text, bark, piece_duration_s=target))
    }
    assert all(seconds == pytest.approx(target, rel=0.25) for target, seconds in mean.items())


def test_a_faster_checkpoint_says_more_in_the_same_time(bark: Vocabulary) -> None:
    text = " ".join([without_stops("en")] * 4)
    slow, fast = (pieces_of(text, bark, pace=pace) for pace in (1.0, 1.5))
    assert len(fast) < len(slow)
    assert sum(piece.seconds for piece in slow) == pytest.approx(1.5 * sum(piece.seconds for piece in fast))


def test_silence_stands_before_sentences_and_paragraphs_but_not_within_a_sentence(bark: Vocabulary) -> None:
    text = f"{without_stops('en')}. {ARTICLE['en']}\n\n{ARTICLE['en']}"
    pieces = pieces_of(text, bark, sentence_pause_s=0.2, paragraph_pause_s=0.6)
    assert [piece.silence_s for piece in pieces] == [0.0, 0.0, 0.2, 0.2, 0.6, 0.2]
    assert [piece.sentence for piece in pieces] == [True, False, True, True, True, True]
    assert [piece.paragraph for piece in pieces] == [False, False, False, False, True, False]


@st.composite
def written(draw: st.DrawFn) -> tuple[str, str]:
    """A language, and a text of its words: sentences of 1 to 90 words, lines and paragraphs."""
    language = draw(st.sampled_from(LANGUAGES))
    unspaced = language in ("ja", "zh")
    words = list(without_stops(language)) if unspaced else without_stops(language).split()
    stop = {"ja": "。", "zh": "。", "hi": "।"}.get(language, ".")
    comma = {"ja": "、", "zh": "，"}.get(language, ",")
    text = ""
    for _ in range(draw(st.integers(1, 8))):
        length = draw(st.integers(1, 8) | st.integers(1, 90))
        said = draw(st.lists(st.sampled_from(words), min_size=length, max_size=length))
        every = draw(st.integers(2, 40))
        glue = "" if unspaced else " "
        sentence = glue.join(word + comma * (index % every == every - 1) for index, word in enumerate(said))
        text += sentence.rstrip(comma).capitalize() + stop + draw(st.sampled_from([glue, "\n", "\n\n"]))
    return language, text


@given(written(), st.integers(24, 256))
def test_every_word_is_in_one_piece_in_order_and_every_piece_fits(
    bark: Vocabulary, written: tuple[str, str], tokens: int
) -> None:
    language, text = written
    pieces = pieces_of(text, bark, language=language, tokens=tokens)
    assert letters("".join(texts(pieces))) == letters(text)
    assert all(0 < len(bark.tokenise(piece.text)) <= tokens for piece in pieces)
    assert all(0 < piece.seconds <= 11.2 for piece in pieces)


@given(written())
def test_no_piece_is_short_that_has_a_neighbour_to_join(bark: Vocabulary, written: tuple[str, str]) -> None:
    language, text = written
    pieces = pieces_of(text, bark, language=language)
    for index, (left, right) in enumerate(pairwise(pieces)):
        most = 3.5 if index == 0 else 7.0
        if not right.paragraph and min(left.seconds, right.seconds) < SHORT_S:
            assert left.seconds + right.seconds > most


@given(written())
def test_a_plan_of_the_planned_pieces_is_the_same_plan(bark: Vocabulary, written: tuple[str, str]) -> None:
    language, text = written
    glue = "" if language in ("ja", "zh") else " "
    pieces = pieces_of(text.replace("\n", glue), bark, language=language)
    again = pieces_of(glue.join(texts(pieces)), bark, language=language)
    assert texts(again) == texts(pieces)


@given(st.text(max_size=200), st.integers(3, 40), st.sampled_from(LANGUAGES))
def test_whatever_comes_every_piece_has_words_and_fits(bark: Vocabulary, text: str, tokens: int, language: str) -> None:
    try:
        pieces = pieces_of(text, bark, tokens=tokens, language=language)
    except InvalidRequest:
        return
    assert all(letters(piece.text) and 0 < len(bark.tokenise(piece.text)) <= tokens for piece in pieces)
    assert all(piece.seconds <= 11.2 for piece in pieces)


@pytest.mark.parametrize("text", ["word " * 4_000, "Yes. " * 4_000, "字" * 20_000, "a-" * 10_000, "a" + "!" * 19_999])
def test_a_long_text_is_planned_in_a_moment(text: str, bark: Vocabulary) -> None:
    start = time.process_time()
    pieces_of(text, bark)
    assert time.process_time() - start < 10
