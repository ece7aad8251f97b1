"""How long a text takes to say, by the number of its letters.

Bark speaks some 150 English words per minute: 30 to 35 words are 12 to 14 seconds, by public reports. Other
languages are set in relation to English by how fast their speakers read aloud: characters per minute in
Trauzettel-Klosinski and Dietz, "Standardized Assessment of Reading Performance: The New International Reading Speed
Texts IReST" (Investigative Ophthalmology & Visual Science 53, 2012). Hindi and Korean, which it lacks, are set so that
the first article of the Universal Declaration of Human Rights takes as long as in English.
"""

from __future__ import annotations

from collections import Counter
from functools import cache

LETTERS_PER_S = {
    "en": 10.8, "de": 10.1, "es": 11.2, "fr": 10.9, "it": 10.4, "pl": 10.0, "pt": 10.0, "ru": 10.8, "tr": 11.5,
}  # fmt: skip
SYLLABLES_PER_S = 5.0  #: of Hangul
HANZI_PER_S = 3.2
KANJI_PER_S = 3.0  #: most have two morae
KANA_PER_S = 5.5
DEVANAGARI_PER_S = 7.0  #: letters; signs of vowels belong to the letter before them
DIGIT_S = 0.4
SIGN_S = 0.4  #: of a sign that is read as a word
_SIGNS = frozenset("%&@+=#°$€£¥₹₽₩₺")


def seconds(text: str, *, language: str) -> float:
    """Expected seconds of speech. Joined texts take as long as their parts. language: two letters."""
    return sum(count * sign_seconds(sign, language) for sign, count in Counter(text).items())


@cache
def sign_seconds(sign: str, language: str) -> float:
    """What one character adds; nothing for blanks and punctuation, whose pauses are in the rate of the letters."""
    if sign in _SIGNS:
        return SIGN_S
    if sign.isnumeric() and not is_unspaced(sign):
        return DIGIT_S
    if not sign.isalpha():
        return 0.0
    if is_kana(sign):
        return 1 / KANA_PER_S
    if is_unspaced(sign):
        return 1 / (KANJI_PER_S if language == "ja" else HANZI_PER_S)
    if "\uac00" <= sign <= "\ud7a3":
        return 1 / SYLLABLES_PER_S
    if "\u0900" <= sign <= "\u097f":
        return 1 / DEVANAGARI_PER_S
    return 1 / LETTERS_PER_S.get(language, LETTERS_PER_S["en"])


def is_kana(sign: str) -> bool:
    """Whether this is a sign of Hiragana or Katakana."""
    return "\u3041" <= sign <= "\u30ff"


def is_unspaced(sign: str) -> bool:
    """Whether this is a sign of a script that has no blanks between words: Chinese or Japanese."""
    return is_kana(sign) or "\u3400" <= sign <= "\u9fff" or "\uf900" <= sign <= "\ufaff" or sign >= "\U00020000"
