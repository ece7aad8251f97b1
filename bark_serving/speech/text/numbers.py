"""Numbers, money, units, ranges, times, dates and addresses as words, in Bark's thirteen languages.

What is not understood stays as it is, and so do tags such as ``[laughs]``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, partial

from bark_serving.speech.text import chinese, korean
from bark_serving.speech.text import number_patterns as patterns
from bark_serving.speech.text.dates import Dates
from bark_serving.speech.text.number_patterns import MONEY_SIGNS
from bark_serving.speech.text.number_words import DOMAINS, WORDS
from bark_serving.speech.text.plurals import PLURAL, YEAR, plural
from bark_serving.speech.text.quantities import Rule
from bark_serving.speech.text.signs import TAG

#: Those that are no regular expressions yet are compiled for a language, which says what a letter is.
#: Parts are limited in length, so that a long text of dots and hyphens takes no longer than another.
_EMAIL = re.compile(r"\b[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[a-z]{2,24}\b", re.IGNORECASE | re.ASCII)
_URL = re.compile(
    r"\b(https?://)?((?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24})\b((?:/[\w./#?=&%~-]{0,500}\w)?)/?", re.IGNORECASE | re.ASCII
)
#: Telephone numbers: with the code of a country, of a town, or neither. All are read digit by digit.
_PHONES = (
    r"\+\d{1,3}(?:[ -]?\(?\d{1,4}\)?){2,5}",
    r"(?:\(\d{3}\) ?|\d{3}[ -])?\d{3}-\d{4}",
    r"\(\d{2,3}\) ?\d{3,5}(?:-\d{2,4}){1,2}",
    r"\(0\d{1,4}\) ?\d{3,8}",
    r"\d{2,4}(?:-\d{2,4}){2,3}",
    r"\d-\d{3}(?:-\d{2,4}){2,3}",
    r"0\d{1,4}[ /-]\d{5,8}",
)
_OWN_PHONES = {
    "en": (r"(?:1[. ])?[2-9]\d\d([. ])\d{3}\1(?!000)\d{4}",),
    "hi": (r"[6-9]\d{4} ?(?!\d\d000)\d{5}(?!\s?(?:रुप|लोग))",),
    "zh": (r"1[3-9]\d ?\d{4} ?\d{4}(?!\s?[元人万亿])",),
}
_WIDE_MONEY, _TO_MONEY = re.compile(r"[￥＄￡￦](?=\s?[\d-])"), str.maketrans("￥＄￡￦", "¥$£₩")
_VERSION = rf"(?<!\d,)(?<![\w.{MONEY_SIGNS}])\d+(?:\.\d+){{2,}}(?![\w.]*\w|,\d|\s?[%{MONEY_SIGNS}])"

#: Rules of one language that come before those of units.
_FIRST: Mapping[str, tuple[Rule, ...]] = {"en": ((PLURAL, plural),), "ko": korean.RULES, "zh": chinese.RULES}

#: What is read as a year, where years are read in two parts.
_YEARS = {"en": re.compile(YEAR), "de": re.compile(r"1[1-9]\d\d")}


def spell(text: str, *, language: str) -> str:
    """`text` with its numbers in words of `language` (two letters). A language without words changes nothing."""
    if language not in WORDS or not re.search(r"\d|[@½⅓⅔¼¾]|\.\w", text):
        return text
    parts, start = [], 0
    for tag in TAG.finditer(text):
        parts += [_spell(text[start : tag.start()], language), tag[0]]
        start = tag.end()
    return "".join([*parts, _spell(text[start:], language)])


def _spell(text: str, language: str) -> str:
    for pattern, say in _rules(language):
        text = pattern.sub(say, text)
    return text


@cache
def _rules(language: str) -> tuple[Rule, ...]:
    """What to look for, in order, and what to say for it."""
    speaker = _Speaker(language, WORDS[language])
    beside_words = partial(patterns.beside_words, language=language)
    rules: list[Rule] = [
        (_WIDE_MONEY, lambda m: m[0].translate(_TO_MONEY)),
        (_EMAIL, lambda m: speaker.address(m[0])),
        (_URL, speaker.link),
        speaker.stop_rule(),
        *speaker.date_rules(),
        (_phones(language), lambda m: ", ".join(speaker.digits(group) for group in re.findall(r"\d+", m[0]))),
        *_FIRST.get(language, ()),
        *speaker.written_date_rules(),
        *speaker.clock_rules(),
        *speaker.quantity_rules(),
        speaker.range_rule(_YEARS.get(language)),
        *speaker.own_rules(),
        speaker.dot_date_rule(),
        speaker.number_rule(),
        (beside_words(_VERSION), lambda m: speaker.join(*re.split(r"(\.)", m[0]))),
    ]
    return tuple(rules)


def _phones(language: str) -> re.Pattern[str]:
    either = "|".join((*_OWN_PHONES.get(language, ()), *_PHONES))
    return patterns.beside_words(rf"(?<![\w.,{MONEY_SIGNS}-])(?:{either})(?![\w-]|[.,]\d)", language=language)


class _Speaker(Dates):
    """Says what a rule has found in one language."""

    def join(self, *parts: str) -> str:
        """Numbers and the points between them."""
        return self._words.glue.join(self._words.dot if part == "." else self.number(part) for part in parts)

    def link(self, match: re.Match[str]) -> str:
        """A link or a host's name. Other words with a full stop inside stay."""
        scheme, host, path = match.groups()
        ending = host.rpartition(".")[2]
        if not (scheme or host.startswith("www.") or ending in DOMAINS):
            return match[0]
        return self.address(host + path)

    def address(self, address: str) -> str:
        """A host's name, a link without its scheme, or an address of e-mail."""
        words = self._words
        names = {".": words.dot, "/": words.slash, "@": words.at, "-": words.dash}
        return " ".join(names.get(part, part) for part in re.split(r"([./@-])", address) if part)
