"""English plurals of numbers: "the 1990s", "in his 40s", "100s of people".

An "s" also means seconds. They are meant after another number than a decade ("5s", "45s"), after a blank ("30 s"), at
the end of a range ("10-20s") and after hours or minutes ("2 min 30s").
"""

from __future__ import annotations

import re

from num2words import num2words

from bark_serving.speech.text.cardinals import cardinal, plain
from bark_serving.speech.text.number_patterns import MONEY_SIGNS

YEAR = r"1[1-9]\d\d|20[1-9]\d"  #: what is read as a year in English
_DECADE = re.compile(r"1[1-9]\d0|20\d0")
_MANY = r"1(?:0{2,6}|0{0,2}(?:,000){1,2})"
PLURAL = re.compile(
    rf"(?<![\w.,:{MONEY_SIGNS}])(?:(?<!\d[-–])|(?<=\d{{4}}[-–]))(?<!\d[hm]\s)(?<!\d\s[hm]\s)(?<!min\s)"
    rf"(?:{_DECADE.pattern}|{_MANY}|['’‘]?[1-9]0)s\b"
)


def plural(match: re.Match[str]) -> str:
    """The words of a match of `PLURAL`: "nineteen nineties", "forties", "hundreds"."""
    digits = re.sub(r"\D", "", match[0])
    number = int(digits)
    if _DECADE.fullmatch(digits):
        said = plain(num2words(number, to="year", lang="en"))
    else:
        said = cardinal(number, language="en").removeprefix("one ")
    return f"{said[:-1]}ies" if said.endswith("y") else f"{said}s"
