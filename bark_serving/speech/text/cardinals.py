"""Whole numbers as words, alone and before a noun, in Bark's thirteen languages.

The words are num2words', but for Turkish, Hindi and Chinese: version 0.5.14 writes Turkish as one word without blanks
and has no words for the other two.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from num2words import num2words

from bark_serving.speech.text.number_words import HINDI, TURKISH_ONES, TURKISH_TENS, WORDS, Forms
from bark_serving.speech.text.unit_words import FEMININE

#: Endings of a number before a noun: of masculine (and neuter) nouns, then of feminine ones.
_BEFORE_NOUNS: Mapping[str, tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]] = {
    "de": ((("^eins$", "ein"),), (("^eins$", "eine"),)),
    "es": ((("veintiuno$", "veintiún"), ("uno$", "un")), (("uno$", "una"), ("ientos", "ientas"))),
    "fr": ((), (("un$", "une"),)),
    "it": ((("^uno$", "un"),), (("^uno$", "una"),)),
    "pl": ((), (("^jeden$", "jedna"), ("dwa$", "dwie"))),
    "pt": ((), (("um$", "uma"), ("dois$", "duas"), ("entos", "entas"))),
    "ru": ((), (("один$", "одна"), ("два$", "две"))),
    "zh": ((("^二$", "两"),), ()),
}

LOCALES = {"pt": "pt_BR"}  #: of num2words; the other tables for Portuguese are Brazilian, too


def cardinal(number: int, *, language: str) -> str:
    """A whole number, at least 0, in words."""
    match language:
        case "hi":
            return _hindi(number)
        case "tr":
            return _turkish(number)
        case "zh":
            return _chinese(number)
    return plain(num2words(number, lang=LOCALES.get(language, language)), language=language)


@cache
def first_words(language: str) -> frozenset[str]:
    """The words with which most numbers begin; none in a language without words."""
    numbers = (*range(100), *range(100, 1001, 100)) if language in WORDS else ()
    return frozenset(cardinal(number, language=language).split()[0] for number in numbers)


def before_noun(number: int, noun: str, *, language: str) -> str:
    """A whole number as it is said before `noun`, in its first form: "una hora", "dwie minuty"."""
    said = cardinal(number, language=language)
    masculine, feminine = _BEFORE_NOUNS.get(language, ((), ()))
    for ending, other in feminine if noun.split(" ")[0] in FEMININE.get(language, ()) else masculine:
        said = re.sub(ending, other, said)
    return said


def noun_after(count: int, forms: Forms, *, language: str) -> str:
    """The form of a noun after a whole number; see `number_words`."""
    if len(forms) <= 2:
        return forms[0] if count == 1 or (count == 0 and language == "fr") else forms[-1]
    if count == 1 or (language == "ru" and count % 10 == 1 and count % 100 != 11):
        return forms[0]
    return forms[1] if count % 10 in (2, 3, 4) and count % 100 not in (12, 13, 14) else forms[2]


def noun_after_fraction(whole: int, forms: Forms, *, language: str, decimal: bool) -> str:
    """The form of a noun after a fraction, `decimal` or not: "1.5 kilometers", "one half kilometer"."""
    if language == "ru" and len(forms) == 3:
        return forms[1]
    singular = whole < 2 if language in ("fr", "pt") else whole == 0 and not decimal
    return forms[0] if singular and len(forms) == 2 else forms[-1]


def plain(words: object, *, language: str = "en") -> str:
    """num2words' words without commas, which belong between sentences' parts; English ones without "and", too."""
    said = str(words).replace(",", "")
    return said.replace(" and ", " ") if language == "en" else said


def _hindi(number: int) -> str:
    parts = []
    for size, name in ((10**7, "करोड़"), (10**5, "लाख"), (1000, "हज़ार"), (100, "सौ")):
        if number >= size:
            parts.append(f"{_hindi(number // size)} {name}")
            number %= size
    if number or not parts:
        parts.append(HINDI[number])
    return " ".join(parts)


def _turkish(number: int) -> str:
    if number == 0:
        return "sıfır"
    parts = []
    for size, name in ((10**12, "trilyon"), (10**9, "milyar"), (10**6, "milyon"), (1000, "bin"), (100, "yüz")):
        if number >= size:
            count = number // size
            parts += [name] if count == 1 and size <= 1000 else [_turkish(count), name]
            number %= size
    parts += [TURKISH_TENS[number // 10], TURKISH_ONES[number % 10]]
    return " ".join(filter(None, parts))


def _chinese(number: int) -> str:
    digits = "零一二三四五六七八九"
    if number < 10:
        return digits[number]
    for size, name in ((10**12, "兆"), (10**8, "亿"), (10**4, "万"), (1000, "千"), (100, "百"), (10, "十")):
        if number >= size:
            high, low = divmod(number, size)
            said = name if size == 10 and number < 20 else _chinese(high) + name
            if not low:
                return said
            gap = "零" if low < size // 10 else ""
            return said + gap + ("一" if 10 <= low < 20 else "") + _chinese(low)
    raise AssertionError(number)
