"""English plurals of numbers: "the 1990s", "in his 40s", "100s of people".

An "s" after a number also means seconds, so a plural needs a sign of one: four digits of a decade, an apostrophe
("'90s"), a word such as "the" or "his" before it, or "of" or a word such as "music" after it.
"""

from __future__ import annotations

import re

from num2words import num2words

from bark_serving.speech.text.cardinals import cardinal, plain
from bark_serving.speech.text.number_patterns import MONEY_SIGNS

YEAR = r"1[1-9]\d\d|20[1-9]\d"  #: what is read as a year in English
_DECADE = re.compile(r"1[1-9]\d0|20\d0")
_SHORT = r"['’‘]?[1-9]0s"
_MORE = rf"(?:(?:[-–/]|, | and | or ){_SHORT}\b)*"  #: "60s/70s"
_MANY = r"[1-9]0|1(?:0{2,6}|0{0,2}(?:,000){1,2})"
_OWNERS = "the|his|her|its|their|my|our|your|early|mid|late"
#: What is named after a decade: "80s music". A "30s song" may be half a minute long.
_STYLES = "music|movies?|films?|fashion|rock|pop|disco|nostalgia"
PLURAL = re.compile(
    rf"(?<![\w.,:{MONEY_SIGNS}])"
    rf"(?:(?:{_DECADE.pattern})s{_MORE}|['’‘][1-9]0s{_MORE}|(?i:{_OWNERS})[ -]{_SHORT}{_MORE}"
    rf"|(?:{_MANY})s(?= of\b)|[6-9]0s(?:[-–/]{_SHORT}){{0,3}}(?=[ -](?:{_STYLES})\b|-style\b))\b"
)
_ONE = re.compile(r"['’‘]?(\d[\d,]*)s\b")


def plural(match: re.Match[str]) -> str:
    """A match of `PLURAL` in words: "nineteen nineties", "his forties", "hundreds"."""
    return _ONE.sub(_said, match[0])


def _said(match: re.Match[str]) -> str:
    digits = match[1].replace(",", "")
    number = int(digits)
    if _DECADE.fullmatch(digits):
        said = plain(num2words(number, to="year", lang="en"))
    else:
        said = cardinal(number, language="en").removeprefix("one ")
    return f"{said[:-1]}ies" if said.endswith("y") else f"{said}s"
