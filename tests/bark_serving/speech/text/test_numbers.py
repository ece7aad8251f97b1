"""Numbers, money, times, dates and addresses in the words of Bark's languages."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bark_serving.speech.text.number_words import WORDS
from bark_serving.speech.text.numbers import spell

LANGUAGES = ["de", "en", "es", "fr", "hi", "it", "ja", "ko", "pl", "pt", "ru", "tr", "zh"]

SPELLED = [
    ("en", "I have 3 cats.", "I have three cats."),
    ("en", "1,234,567 people", "one million two hundred thirty-four thousand five hundred sixty-seven people"),
    ("en", "$5.50, £3.01 and $1", "five dollars and fifty cents, three pounds and one penny and one dollar"),
    ("en", "It costs $1.5 million.", "It costs one point five million dollars."),
    ("en", "at 10:05 pm, 10:00", "at ten oh five pm, ten o'clock"),
    ("en", "2026-11-28", "November twenty-eighth, twenty twenty-six"),
    ("en", "In 1905, on May 3rd", "In nineteen oh-five, on May third"),
    ("en", "call 555-1234", "call five five five, one two three four"),
    ("en", "call (555) 123-4567", "call five five five, one two three, four five six seven"),
    ("en", "007 is 0.5%", "zero zero seven is zero point five percent"),
    ("en", "-5 or 10-20", "minus five or ten-twenty"),
    ("en", "see https://www.example.com/a-b.", "see www dot example dot com slash a dash b."),
    ("en", "ask joe@x.org", "ask joe at x dot org"),
    ("en", "version 1.2.3", "version one dot two dot three"),
    ("de", "am 28.11.2026", "am achtundzwanzigsten November zweitausendsechsundzwanzig"),
    ("de", "der 3. Mai im 20. Jahrhundert", "der dritte Mai im zwanzigsten Jahrhundert"),
    ("de", "5,50 € um 10:30 Uhr", "fünf Euro fünfzig Cent um zehn Uhr dreißig"),
    ("de", "1.234,5 von 1999", "eintausendzweihundertvierunddreißig Komma fünf von neunzehnhundertneunundneunzig"),
    ("es", "a las 10:30 y a las 1:00", "a las diez y treinta y a las una"),
    ("fr", "à 10h30, 2 000 €", "à dix heures trente, deux mille euros"),
    ("hi", "12345 और ₹5", "बारह हज़ार तीन सौ पैंतालीस और पाँच रुपये"),
    ("it", "alle 10:30, 01.05.2026", "alle dieci e trenta, primo maggio duemilaventisei"),
    ("ja", "今年は2026年です", "今年は二千二十六年です"),
    ("ko", "10시에 500₩", "열시에 오백원"),
    ("pl", "5,50 zł 2 zł 22 zł", "pięć złotych pięćdziesiąt groszy dwa złote dwadzieścia dwa złote"),
    ("pt", "R$ 5,50 às 2:00", "cinco reais e cinquenta centavos às duas horas"),
    ("ru", "1 000 ₽ в 2:00", "одна тысяча рублей в два часа"),
    ("tr", "%50 ve 1001", "yüzde elli ve bin bir"),
    ("zh", "2026-11-28 有 10010 人, 50%", "二零二六年十一月二十八日 有 一万零一十 人, 百分之五十"),
]


@pytest.mark.parametrize(("language", "text", "said"), SPELLED)
def test_numbers_are_spelled_in_the_language(language: str, text: str, said: str) -> None:
    assert spell(text, language=language) == said


@pytest.mark.parametrize("text", ["[2 laughs] a", "H2O", "a5 5a", "end.It was", "No numbers here."])
def test_what_is_no_number_stays(text: str) -> None:
    assert spell(text, language="en") == text


def test_a_language_without_words_keeps_its_numbers() -> None:
    assert spell("5 appels", language="nl") == "5 appels"


def test_every_language_of_bark_has_words() -> None:
    assert sorted(WORDS) == LANGUAGES
    assert all(len(words.months) == 12 for words in WORDS.values())


@pytest.mark.parametrize("language", LANGUAGES)
@given(number=st.integers(0, 10**15 - 1))
def test_a_whole_number_leaves_no_digit(language: str, number: int) -> None:
    said = spell(str(number), language=language)
    assert said and not any(letter.isdigit() for letter in said)


@given(st.integers(0, 10**15 - 1), st.integers(0, 10**15 - 1), st.sampled_from(["hi", "tr", "zh"]))
def test_two_numbers_are_never_the_same_words(one: int, other: int, language: str) -> None:
    assert (spell(str(one), language=language) == spell(str(other), language=language)) == (one == other)


@given(st.text("0123456789.,:-/%$€zł @a[]()hUr\n", max_size=60), st.sampled_from(LANGUAGES))
def test_any_mixture_of_digits_and_signs_is_read(text: str, language: str) -> None:
    assert bool(spell(text, language=language)) == bool(text)


@pytest.mark.parametrize("unit", ["9", "a-", "a.", "1.", "1-", "a@", "$", "1 ", "a.com/"])
def test_reading_numbers_takes_no_longer_than_the_text_is(unit: str) -> None:
    started = time.process_time()
    spell(unit * (20_000 // len(unit)), language="en")
    assert time.process_time() - started < 5
