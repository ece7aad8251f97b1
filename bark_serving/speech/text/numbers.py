"""Numbers, money, units, ranges, times, dates and addresses as words, in Bark's thirteen languages.

What is not understood stays as it is, and so do tags such as ``[laughs]``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, partial

from num2words import num2words

from bark_serving.speech.text import chinese, korean, ordinals
from bark_serving.speech.text import number_patterns as patterns
from bark_serving.speech.text.cardinals import plain
from bark_serving.speech.text.clock import Clock
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
    "en": (r"(?:1[. ])?\d{3}([. ])\d{3}\1\d{4}",),
    "hi": (r"[6-9]\d{4} ?\d{5}(?!\s?(?:रुप|लोग))",),
    "zh": (r"1[3-9]\d ?\d{4} ?\d{4}(?!\s?[元人万亿])",),
}
_WIDE_MONEY, _TO_MONEY = re.compile(r"[￥＄￡￦](?=\s?[\d-])"), str.maketrans("￥＄￡￦", "¥$£₩")
_ISO_DATE = r"\b(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])\b"
_YEAR_SLASH_DATE = r"(?<![\w/.])(\d{4})/(0?[1-9]|1[0-2])/(0?[1-9]|[12]\d|3[01])(?![\w/])"
_SLASH_DATE = r"(?<![\w/.])(\d{1,2})/(\d{1,2})/(\d{4})(?![\w/])"
_DOT_DATE = r"(?<!\d[.,])\b(0?[1-9]|[12]\d|3[01])\.(0?[1-9]|1[0-2])\.(\d{4})\b(?![.,]\d)"
_VERSION = rf"(?<!\d,)(?<![\w.{MONEY_SIGNS}])\d+(?:\.\d+){{2,}}(?![\w.]*\w|,\d|\s?[%{MONEY_SIGNS}])"
_ENGLISH_ORDINAL = re.compile(r"(?<!\d[.,])\b(\d{1,3}(?:,\d{3})+|\d{1,6})(?:st|nd|rd|th)\b")
_GERMAN_ORDINAL = re.compile(r"(?:\b(\w+)\s)?\b(\d{1,2})\.\s?(?=[A-ZÄÖÜ])")
_TURKISH_ORDINAL = re.compile(r"(?:\b(\w+)\s)?(?<![\w.,:/-])(\d{1,2})\.(?=\s[^\W\d_])")
_KOREAN_DATE = re.compile(r"(?<![\d.])(\d{4})\.\s?(0?[1-9]|1[0-2])\.\s?(0?[1-9]|[12]\d|3[01])(?!\d)(?:\.(?=\s*\S))?")

#: Rules of one language that come before those of units.
_FIRST: Mapping[str, tuple[Rule, ...]] = {"en": ((PLURAL, plural),), "ko": korean.RULES, "zh": chinese.RULES}

#: What is read as a year, where years are read in two parts.
_YEARS = {"en": re.compile(YEAR), "de": re.compile(r"1[1-9]\d\d")}

MONTHS, MAX_DAY = 12, 31


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
        (beside_words(_ISO_DATE), lambda m: speaker.date(m[1], m[2], m[3])),
        (beside_words(_YEAR_SLASH_DATE), lambda m: speaker.date(m[1], m[2], m[3])),
        (beside_words(_SLASH_DATE), speaker.slash_date),
        (_phones(language), lambda m: ", ".join(speaker.digits(group) for group in re.findall(r"\d+", m[0]))),
        *_FIRST.get(language, ()),
        *speaker.clock_rules(),
        *speaker.quantity_rules(),
        speaker.range_rule(_YEARS.get(language)),
        *speaker.own_rules(),
        (beside_words(_DOT_DATE), lambda m: speaker.date(m[3], m[2], m[1])),
        speaker.number_rule(),
        (beside_words(_VERSION), lambda m: speaker.join(*re.split(r"(\.)", m[0]))),
    ]
    return tuple(rules)


def _phones(language: str) -> re.Pattern[str]:
    either = "|".join((*_OWN_PHONES.get(language, ()), *_PHONES))
    return patterns.beside_words(rf"(?<![\w.,{MONEY_SIGNS}-])(?:{either})(?![\w-]|[.,]\d)", language=language)


class _Speaker(Clock):
    """Says what a rule has found in one language."""

    def own_rules(self) -> list[Rule]:
        """Rules of English, Turkish, German and Korean."""
        match self._language:
            case "en":
                year = re.compile(rf"(?<![\w.,$€£])({YEAR})(?![\w%]|[.,:]\d)")
                return [
                    (_ENGLISH_ORDINAL, lambda m: plain(num2words(int(m[1].replace(",", "")), to="ordinal", lang="en"))),
                    (year, lambda m: self.year(int(m[1]))),
                ]
            case "tr":
                return [(_TURKISH_ORDINAL, self._turkish_ordinal)]
            case "ko":
                return [(_KOREAN_DATE, lambda m: self.date(m[1], m[2], m[3]))]
            case "de":
                year = re.compile(r"(?<![\w.,€$])(1[1-9]\d\d)(?![\w%]|[.,:]\d|\s?[€$])")
                dotted = re.compile(rf"(?:\b(\w+)\s)?{_DOT_DATE}")
                return [
                    (dotted, self._german_date),
                    (_GERMAN_ORDINAL, self._german_ordinal),
                    (year, lambda m: self.year(int(m[1]))),
                ]
        return []

    def join(self, *parts: str) -> str:
        """Numbers and the points between them."""
        return self._words.glue.join(self._words.dot if part == "." else self.number(part) for part in parts)

    def date(self, year: str, month: str, day: str) -> str:
        said = self.digits(year) if self._language == "zh" else self.year(int(year))
        return self._words.date.format(d=self._day(int(day)), month=self._words.months[int(month) - 1], y=said)

    def slash_date(self, match: re.Match[str]) -> str:
        """English has the month first, other languages the day; what cannot be a month is the day."""
        month, day = (1, 2) if self._language == "en" else (2, 1)
        if int(match[month]) > MONTHS:
            month, day = day, month
        if not (1 <= int(match[month]) <= MONTHS and 1 <= int(match[day]) <= MAX_DAY):
            return match[0]
        return self.date(match[3], match[month], match[day])

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

    def year(self, year: int) -> str:
        if self._language in ("de", "en"):
            return plain(num2words(year, to="year", lang=self._language), language=self._language)
        return self.cardinal(year)

    def _day(self, day: int) -> str:
        """The day of a date: an ordinal in some languages, in others on the first day only."""
        match self._language:
            case "en":
                return plain(num2words(day, to="ordinal", lang="en"))
            case "de":
                return f"{num2words(day, to='ordinal', lang='de')}r"
            case "pl":
                words = str(num2words(day, to="ordinal", lang="pl")).split()
                return " ".join(f"{word}ego" if word.endswith("i") else f"{word[:-1]}ego" for word in words)
            case "ru":
                return str(num2words(day, to="ordinal", lang="ru", gender="n"))
        return self._words.first_day if day == 1 and self._words.first_day else self.cardinal(day)

    def _german_date(self, match: re.Match[str]) -> str:
        before, day, month, year = match.groups()
        said = f"{self._words.months[int(month) - 1]} {self.year(int(year))}"
        return f"{before + ' ' if before else ''}{ordinals.german(int(day), before or '')} {said}"

    def _german_ordinal(self, match: re.Match[str]) -> str:
        """ "Im 20. Jahrhundert", "am 3. Mai": an ordinal after an article or a preposition, or before a month."""
        before, rest = match[1] or "", match.string[match.end() :]
        stop = "" if ordinals.is_german(before, rest) or rest.startswith(self._words.months) else "."
        if stop and before.lower() not in ("am", "vom", "zum"):
            return match[0]
        return f"{before} {ordinals.german(int(match[2]), before)}{stop} ".lstrip()

    def _turkish_ordinal(self, match: re.Match[str]) -> str:
        """ "Boğazın 3. Köprüsü". One that begins a line may be that of a list, unless a small letter follows."""
        before, rest = match[1] or "", match.string[match.end() :].lstrip()
        begins = not match.string[: match.start()].rpartition("\n")[2].strip() and not before
        if (begins and not rest[:1].islower()) or not ordinals.is_turkish(before):
            return match[0]
        return f"{before} {ordinals.turkish(int(match[2]))}".lstrip()
