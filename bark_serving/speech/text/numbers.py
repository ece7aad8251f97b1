"""Numbers, money, times, dates and addresses as words, in Bark's thirteen languages.

Words of whole numbers are num2words', but for Turkish, Hindi and Chinese: version 0.5.14 writes Turkish as one word
without blanks and has no words for the other two. What is not understood stays as it is, and so do tags such as
``[laughs]``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from num2words import num2words

from bark_serving.speech.text.number_words import (
    DOMAINS,
    GERMAN_ARTICLES,
    GERMAN_DATIVES,
    HINDI,
    PERCENT_FIRST,
    SCALES,
    TURKISH_ONES,
    TURKISH_TENS,
    WORDS,
    Forms,
    Words,
)
from bark_serving.speech.text.signs import TAG

MAX_DIGITS = 15  #: of a number that is read as one; longer ones, and those with a leading zero, are read digit by digit

#: Parts are limited in length, so that a long text of dots and hyphens takes no longer than another.
_EMAIL = re.compile(r"\b[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[a-z]{2,24}\b", re.IGNORECASE | re.ASCII)
_URL = re.compile(
    r"\b(https?://)?((?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24})\b((?:/[\w./#?=&%~-]{0,500}\w)?)/?", re.IGNORECASE | re.ASCII
)
#: Three and four digits, three groups of digits, or a number with the code of a country.
_PHONE = re.compile(
    r"(?<![\w.,-])(?:\+\d{1,3}(?:[ -]?\(?\d{1,4}\)?){2,5}|(?:\(\d{3}\) ?|\d{3}[ -])?\d{3}-\d{4}|"
    r"\d{2,4}(?:-\d{2,4}){2,3})(?![\w-])"
)
_ISO_DATE = re.compile(r"\b(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])\b")
_DOT_DATE = re.compile(r"\b(0?[1-9]|[12]\d|3[01])\.(0?[1-9]|1[0-2])\.(\d{4})\b")
_TIME = re.compile(r"\b([01]?\d|2[0-3]):([0-5]\d)\b(?!:)")
_VERSION = re.compile(r"(?<![\w.])\d+(?:\.\d+){2,}(?![\w.]*\w)")
_ENGLISH_ORDINAL = re.compile(r"\b(\d{1,6})(?:st|nd|rd|th)\b")
_ENGLISH_HOUR = re.compile(r"(?<=\d)(?=[ap]m\b)")
_FRENCH_TIME = re.compile(r"\b([01]?\d|2[0-3])\s?h(?:\s?([0-5]\d))?\b")
_KOREAN_HOUR = re.compile(r"(?<![\d:.,])([01]?\d|2[0-3])시(?!간)")
_GERMAN_TIME = re.compile(r"\b([01]?\d|2[0-3])[.:]([0-5]\d)\sUhr\b")
_GERMAN_ORDINAL = re.compile(r"(?:\b(\w+)\s)?\b(\d{1,2})\.\s?(?=[A-ZÄÖÜ])")

_Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


def spell(text: str, *, language: str) -> str:
    """`text` with its numbers in words of `language` (two letters). A language without words changes nothing."""
    if language not in WORDS or not re.search(r"\d|@|\.\w", text):
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
def _rules(language: str) -> tuple[_Rule, ...]:
    """What to look for, in order, and what to say for it."""
    words = WORDS[language]
    speaker = _Speaker(language, words)
    # Chinese, Japanese and Korean write letters next to digits.
    letter = "[A-Za-z0-9_]" if language in ("ja", "ko", "zh") else r"\w"
    point = re.escape(words.decimal)
    number = rf"(?:\d{{1,3}}(?:[{re.escape(words.thousands)}]\d{{3}})+|\d+)(?:{point}\d+)?"
    before, after = rf"(?<!{letter})(?<!\d[.,])", rf"(?!{letter})"
    signs = "|".join(re.escape(sign) for sign in sorted(words.money, key=len, reverse=True))
    scale = rf"(?:\s({SCALES[language]})\b)?" if language in SCALES else "()"
    rules: list[_Rule] = [
        (_EMAIL, lambda m: speaker.address(m[0])),
        (_URL, speaker.link),
        (_ISO_DATE, lambda m: speaker.date(m[1], m[2], m[3])),
        (_PHONE, lambda m: ", ".join(speaker.digits(group) for group in re.findall(r"\d+", m[0]))),
        *speaker.own_rules(),
        (_DOT_DATE, lambda m: speaker.date(m[3], m[2], m[1])),
        (_TIME, lambda m: speaker.time(int(m[1]), int(m[2]))),
        (re.compile(rf"{before}({number})\s?({signs})(?!\w)"), lambda m: speaker.money(m[2], m[1])),
        (
            re.compile(rf"(?<![A-Za-z0-9_])({signs})\s?({number}){scale}(?![\w%])"),
            lambda m: speaker.money(m[1], m[2], scale=m[3]),
        ),
        (re.compile(rf"{before}({number})\s?%"), lambda m: speaker.percent(m[1])),
        (re.compile(rf"{before}(-|−)?({number}){after}(?![.,]\d)"), lambda m: speaker.signed(m[1], m[2])),
        (_VERSION, lambda m: speaker.join(*re.split(r"(\.)", m[0]))),
    ]
    if language in PERCENT_FIRST:
        rules.insert(0, (re.compile(rf"%\s?({number}){after}"), lambda m: speaker.percent(m[1])))
    return tuple(rules)


class _Speaker:
    """Says what a rule has found in one language."""

    def __init__(self, language: str, words: Words) -> None:
        self._language, self._words = language, words

    def own_rules(self) -> list[_Rule]:
        """Rules of English, French, German and Korean."""
        match self._language:
            case "en":
                year = re.compile(r"(?<![\w.,$€£])(1[1-9]\d\d|20[1-9]\d)(?![\w%]|[.,:]\d)")
                return [
                    (_ENGLISH_HOUR, lambda _: " "),
                    (_ENGLISH_ORDINAL, lambda m: _plain(num2words(int(m[1]), to="ordinal", lang="en"))),
                    (year, lambda m: self._year(int(m[1]))),
                ]
            case "fr":
                return [(_FRENCH_TIME, lambda m: self.time(int(m[1]), int(m[2] or 0)))]
            case "ko":
                return [(_KOREAN_HOUR, lambda m: self.time(int(m[1]), 0))]
            case "de":
                year = re.compile(r"(?<![\w.,€$])(1[1-9]\d\d)(?![\w%]|[.,:]\d|\s?[€$])")
                dotted = re.compile(rf"(?:\b(\w+)\s)?{_DOT_DATE.pattern}")
                return [
                    (dotted, self._german_date),
                    (_GERMAN_TIME, lambda m: self.time(int(m[1]), int(m[2]))),
                    (_GERMAN_ORDINAL, self._german_ordinal),
                    (year, lambda m: self._year(int(m[1]))),
                ]
        return []

    def join(self, *parts: str) -> str:
        """Numbers and the points between them."""
        return self._words.glue.join(self._words.dot if part == "." else self._number(part) for part in parts)

    def digits(self, digits: str) -> str:
        return self._words.glue.join(self._cardinal(int(digit)) for digit in digits)

    def signed(self, sign: str | None, number: str) -> str:
        said = self._number(number)
        return f"{self._words.minus}{self._words.glue}{said}" if sign else said

    def percent(self, number: str) -> str:
        parts = [self._number(number), self._words.percent]
        return self._words.glue.join(reversed(parts) if self._language in PERCENT_FIRST else parts)

    def money(self, sign: str, number: str, *, scale: str | None = None) -> str:
        """An amount. Two digits after the point are hundredths; `scale` is a word such as "million"."""
        words = self._words
        unit, hundredth = words.money[sign]
        whole, _, fraction = number.partition(words.decimal)
        whole = re.sub(r"\D", "", whole)
        if scale or len(fraction) not in (0, 2) or len(whole) > MAX_DIGITS:
            return words.glue.join(filter(None, (self._number(number), scale, unit[-1])))
        said = self._counted(int(whole), unit)
        return f"{said}{words.join}{self._counted(int(fraction), hundredth)}" if fraction.strip("0") else said

    def time(self, hours: int, minutes: int) -> str:
        words = self._words
        hour = words.hours.get(hours) or self._cardinal(hours)
        noun = _form(hours, words.hour, language=self._language) if words.hour else ""
        if not minutes:
            return words.full_hour.format(h=hour, hour=noun)
        minute = self._cardinal(minutes)
        if self._language == "en" and minutes < 10:
            minute = f"oh {minute}"
        return words.time.format(h=hour, m=minute, hour=noun)

    def date(self, year: str, month: str, day: str) -> str:
        said = self.digits(year) if self._language == "zh" else self._year(int(year))
        return self._words.date.format(d=self._day(int(day)), month=self._words.months[int(month) - 1], y=said)

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

    def _cardinal(self, number: int) -> str:
        match self._language:
            case "hi":
                return _hindi(number)
            case "tr":
                return _turkish(number)
            case "zh":
                return _chinese(number)
        return _plain(num2words(number, lang=self._language), language=self._language)

    def _number(self, text: str) -> str:
        words = self._words
        whole, _, fraction = text.partition(words.decimal)
        whole = re.sub(r"\D", "", whole)
        by_digit = len(whole) > MAX_DIGITS or (len(whole) > 1 and int(whole[0]) == 0)
        said = self.digits(whole) if by_digit else self._cardinal(int(whole))
        return words.glue.join([said, words.point, self.digits(fraction)]) if fraction else said

    def _counted(self, count: int, forms: Forms) -> str:
        return f"{self._cardinal(count)}{self._words.glue}{_form(count, forms, language=self._language)}"

    def _year(self, year: int) -> str:
        if self._language in ("de", "en"):
            return _plain(num2words(year, to="year", lang=self._language), language=self._language)
        return self._cardinal(year)

    def _day(self, day: int) -> str:
        """The day of a date: an ordinal in some languages, in others on the first day only."""
        match self._language:
            case "en":
                return _plain(num2words(day, to="ordinal", lang="en"))
            case "de":
                return f"{num2words(day, to='ordinal', lang='de')}r"
            case "pl":
                words = str(num2words(day, to="ordinal", lang="pl")).split()
                return " ".join(f"{word}ego" if word.endswith("i") else f"{word[:-1]}ego" for word in words)
            case "ru":
                return str(num2words(day, to="ordinal", lang="ru", gender="n"))
        return self._words.first_day if day == 1 and self._words.first_day else self._cardinal(day)

    def _german_date(self, match: re.Match[str]) -> str:
        before, day, month, year = match.groups()
        said = f"{self._words.months[int(month) - 1]} {self._year(int(year))}"
        return f"{before + ' ' if before else ''}{_german_ordinal(int(day), before)} {said}"

    def _german_ordinal(self, match: re.Match[str]) -> str:
        """ "Im 20. Jahrhundert", "am 3. Mai": an ordinal after an article or a preposition, or before a month."""
        before = match[1]
        rest = match.string[match.end() :]
        if (before or "").lower() not in GERMAN_DATIVES | GERMAN_ARTICLES and not rest.startswith(self._words.months):
            return match[0]
        return f"{before + ' ' if before else ''}{_german_ordinal(int(match[2]), before)} "


def _german_ordinal(number: int, before: str | None) -> str:
    said = str(num2words(number, to="ordinal", lang="de"))
    word = (before or "").lower()
    return f"{said}n" if word in GERMAN_DATIVES else said if word in GERMAN_ARTICLES else f"{said}r"


def _plain(words: object, *, language: str = "en") -> str:
    """num2words' words; English ones without "and" and commas, which belong between sentences' parts."""
    return str(words).replace(" and ", " ").replace(",", "") if language == "en" else str(words)


def _form(count: int, forms: Forms, *, language: str) -> str:
    """The form of a noun after a number; see `number_words`."""
    if len(forms) == 2:
        return forms[count != 1]
    if count == 1 or (language == "ru" and count % 10 == 1 and count % 100 != 11):
        return forms[0]
    return forms[1] if count % 10 in (2, 3, 4) and count % 100 not in (12, 13, 14) else forms[2]


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
