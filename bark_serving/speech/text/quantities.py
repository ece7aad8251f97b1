"""Numbers with what stands beside them: signs, money, percent, units, ranges, fractions, "No."."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from bark_serving.speech.text import number_patterns as patterns
from bark_serving.speech.text.cardinals import before_noun, cardinal, noun_after, noun_after_fraction
from bark_serving.speech.text.number_patterns import DASH, MONEY_SIGNS
from bark_serving.speech.text.number_words import PERCENT_FIRST, Forms, Words
from bark_serving.speech.text.ordinals import GERMAN_BEGINNINGS
from bark_serving.speech.text.unit_words import (
    ALIASES,
    FRACTIONS,
    GLUED_SCALES,
    GUARDED,
    NOUNS,
    NUMBER_SIGNS,
    OF,
    SCALES,
    TO,
    UNITS,
)

MAX_DIGITS = 15  #: of a number that is read as one; longer ones, and those with a leading zero, are read digit by digit

Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]

_HALF, _FRACTION_SIGNS = "½", "½⅓⅔¼¾"
_FRACTIONS = ("1/2", "1/3", "2/3", "1/4", "3/4")
_FRACTION = rf"(?:(\d{{1,6}})\s?)?([{_FRACTION_SIGNS}])|(?:(\d{{1,3}})\s)?({'|'.join(_FRACTIONS)})"

_ELISIONS = {"fr": (r"\bde (?=e)", "d'"), "it": (r"\buna (?=[ao])", "un'")}


class Quantities:
    """Says numbers and what stands beside them in one language."""

    def __init__(self, language: str, words: Words) -> None:
        self._language, self._words = language, words
        self._before, self._after = patterns.before_number(language), rf"(?!{patterns.letter(language)})"
        self._number_pattern, self._minus = patterns.number(language), patterns.minus(language)
        self._to = TO[language]
        self._scales = {**SCALES[language], **GLUED_SCALES.get(language, {})}
        # without money, "m" and "B" may be something else
        self._units = {**_units(language), **{sign: noun for sign, noun in self._scales.items() if len(sign) > 2}}
        counted = (*UNITS[language].values(), *NOUNS.get(language, ()), *(unit for unit, _ in words.money.values()))
        self._nouns = {form: forms[0] for forms in counted for form in forms if "{}" not in form}
        self._noun_after = rf"(\s(?:{_any(self._nouns)})(?!\w))?"
        self._currencies = {**words.money, "US$": words.money["$"]}

    def stop_rule(self) -> Rule:
        """The rule of the full stop after a unit. It comes before all that makes words of the digits after it."""
        unit = rf"(?<=[\d{_FRACTION_SIGNS}])(\s?(?:{_any(self._units)}))"
        return re.compile(rf"{unit}\.(?=\s+(\w)|[,;:)])"), _without_stop

    def quantity_rules(self) -> Iterator[Rule]:
        """Rules of units, percent and money, which may follow a range."""
        before, after, number = self._before, self._after, self._number_pattern
        amount = rf"{before}({self._minus})?({number})(?:({DASH})({number}))?"
        money, units = _any(self._currencies), _any(self._units)
        scale = rf"(?:((?<=\d)(?:{_any(self._scales)})|\s(?:{_any(SCALES[self._language])})){after})?"
        sign, word = NUMBER_SIGNS[self._language]
        unit = rf"\s?({units})(?:{after})(?!['’²³/°])"
        yield re.compile(rf"(?:{sign}|№|(?<!\w)#)\s?(?=\d)"), lambda _: word
        fraction = rf"(?<![\w/.,-])(?:{_FRACTION})(?![\w/]|[.,]\d)(?:{unit})?"
        yield patterns.beside_words(fraction, language=self._language), self._fraction
        if after_word := patterns.minus_after_word(self._language):
            yield re.compile(after_word), lambda _: "−"
        yield self._one_unit_rule(rf"{before}(?<![\w%°][-–])", rf"%|{money}|{units}", money=money)
        yield self._one_unit_rule(rf"(?<=[{MONEY_SIGNS}])", _any(self._scales), money=money)
        if self._language in PERCENT_FIRST:
            yield re.compile(rf"%\s?()({number})(?:({DASH})%?({number}))?{after}"), self._percent
        yield re.compile(rf"{amount}\s?%"), self._percent
        yield (
            re.compile(rf"{amount}{scale}\s?({money})(?!\w)"),
            lambda m: self._money(m[6], *m.group(1, 2, 3, 4), scale=m[5]),
        )
        sign_first = rf"(?<![A-Za-z0-9_])({self._minus})?({money})\s?([-−–])?"
        yield (
            re.compile(rf"{sign_first}({number})(?:({DASH})(?:\2\s?)?({number}))?{scale}{after}(?!%)"),
            lambda m: self._money(m[2], m[1] or m[3], *m.group(4, 5, 6), scale=m[7]),
        )
        yield re.compile(rf"(?<![{MONEY_SIGNS}]){amount}{unit}"), self._unit

    def _one_unit_rule(self, before: str, signs: str, *, money: str) -> Rule:
        """The rule of a range whose ends both have the unit, which then stays after the second one: "5%-10%"."""
        number = self._number_pattern
        end = rf"{self._after}(?!['’²³/°]|{DASH}\d)"  # as of a unit, or the unit that is left is not read
        pattern = rf"{before}({number})\s?({signs})(?=(?:{DASH})(?:{money})?({number})\s?({signs}){end})"

        def say(match: re.Match[str]) -> str:
            low, sign, high, other = match.groups()
            same = sign == other or (sign == "°" and other.startswith(sign))
            return low if same and self._ascends(low, high) else match[0]

        return re.compile(pattern), say

    def range_rule(self, is_year: re.Pattern[str] | None) -> Rule:
        """The rule of a range without a unit. Its ends may be years."""
        number = self._number_pattern
        pattern = (
            rf"{self._before}(?<![-–−~+/:])({number})({DASH})({number}){self._after}(?![-–~/:]?\d){self._noun_after}"
        )

        def say(match: re.Match[str]) -> str:
            low, dash, high, noun = match.groups()
            if is_year and is_year.fullmatch(low) and (is_year.fullmatch(high) or len(high) == 2):
                if int(low[-len(high) :]) >= int(high):
                    return match[0]
                end = self.year(int(high)) if len(high) == 4 else self.number(high)
                return f"{self.year(int(low))}{self._to}{end}{noun or ''}"
            return self._counted("", low, dash, high, noun=noun) if self._ascends(low, high) else match[0]

        return re.compile(pattern), say

    def number_rule(self) -> Rule:
        """The rule of a number alone."""
        more = r"(?!\.?[ºª]|-[а-яё]{1,3}(?!\w))"  # of an ordinal
        pattern = rf"{self._before}({self._minus})?({self._number_pattern}){self._after}{more}{self._noun_after}"
        return re.compile(pattern), lambda m: self._counted(m[1], m[2], noun=m[3])

    def cardinal(self, number: int) -> str:
        return cardinal(number, language=self._language)

    def year(self, year: int) -> str:
        return self.cardinal(year)

    def digits(self, digits: str) -> str:
        return self._words.glue.join(self.cardinal(int(digit)) for digit in digits)

    def number(self, text: str) -> str:
        whole, _, fraction = text.partition(self._words.decimal)
        whole = re.sub(r"\D", "", whole)
        said = self.cardinal(int(whole)) if _is_one_number(whole) else self.digits(whole)
        return self._words.glue.join([said, self._words.point, self.digits(fraction)]) if fraction else said

    def _value(self, text: str) -> float:
        whole, _, fraction = text.partition(self._words.decimal)
        whole = re.sub(r"\D", "", whole)
        return float(f"{whole}.{fraction or 0}")

    def _ascends(self, low: str, high: str) -> bool:
        """Whether two numbers can be a range. "5-3" is a score, "01-02" a code."""
        return all(_is_one_number(re.match(r"\d*", end)[0]) for end in (low, high)) and (  # type: ignore[index]
            self._value(low) < self._value(high)
        )

    def _amount(
        self, sign: str | None, low: str, dash: str | None = None, high: str | None = None, *, noun: str = ""
    ) -> str:
        """A number or a range, as said before `noun`."""
        ends = [low, *([high] if high else [])]
        said = (dash if high and not self._ascends(low, high) else self._to) or ""
        said = said.join(self._before_noun(end, noun) for end in ends)
        return f"{self._words.minus}{self._words.glue}{said}" if sign else said

    def _counted(
        self, sign: str | None, low: str, dash: str | None = None, high: str | None = None, *, noun: str | None
    ) -> str:
        """A number or a range with a noun that is written after it, or with none."""
        said = self._amount(sign, low, dash, high, noun=self._nouns[noun.strip()] if noun else "")
        return self._elided(f"{said}{noun or ''}")

    def _before_noun(self, number: str, noun: str) -> str:
        whole = re.sub(r"\D", "", number)
        if not noun or self._words.decimal in number or not _is_one_number(whole):
            return self.number(number)
        return before_noun(int(whole), noun, language=self._language)

    def _noun(self, number: str, forms: Forms) -> str:
        whole, _, fraction = number.partition(self._words.decimal)
        count = int(re.sub(r"\D", "", whole))
        if fraction:
            return noun_after_fraction(count, forms, language=self._language, decimal=True)
        return noun_after(count, forms, language=self._language)

    def _beside(self, number: str, noun: str) -> str:
        """A number and its noun, which may hold the place of the number."""
        if "{}" in noun:
            return noun.format(number)
        return self._elided(f"{number}{self._words.glue}{noun}")

    def _percent(self, match: re.Match[str]) -> str:
        sign, low, dash, high = match.group(1, 2, 3, 4)
        noun = self._noun(high or low, tuple(self._words.percent.split("|")))
        parts = [self._amount(sign, low, dash, high), noun]
        return self._words.glue.join(reversed(parts) if self._language in PERCENT_FIRST else parts)

    def _unit(self, match: re.Match[str]) -> str:
        sign, low, dash, high, unit = match.groups()
        forms = self._units[_key(unit)]
        said = self._amount(sign, low, dash, high, noun=forms[0])
        return self._beside(said, self._noun(high or low, forms))

    def _fraction(self, match: re.Match[str]) -> str:
        """A half, thirds and quarters, after a whole number or alone."""
        whole, sign, other_whole, fraction, unit = match.groups()
        whole = whole or other_whole
        index = _FRACTION_SIGNS.index(sign) if sign else _FRACTIONS.index(fraction)
        *fractions, and_a_half, and_ = FRACTIONS[self._language]
        said = fractions[index]
        if whole:
            noun = self._units[_key(unit)][0] if unit else ""
            said = self._before_noun(whole, noun or "-") + (and_a_half if index == 0 else and_ + said)
        if not unit:
            return said
        noun = noun_after_fraction(int(whole or 0), self._units[_key(unit)], language=self._language, decimal=False)
        return self._beside(said, noun)

    def _money(
        self, sign: str, minus: str | None, low: str, dash: str | None, high: str | None, *, scale: str | None
    ) -> str:
        """An amount. Two digits after the point are hundredths; `scale` is a word such as "million", or an "m"."""
        words = self._words
        unit, hundredth = self._currencies[sign]
        if scale:
            forms = self._scales[scale.strip()]
            said = self._beside(self._amount(minus, low, dash, high, noun=forms[0]), self._noun(high or low, forms))
            of = OF.get(self._language, "") if forms[0] != forms[-1] else ""
            return self._elided(words.glue.join(filter(None, (said, of, unit[-1]))))
        whole, _, fraction = low.partition(words.decimal)
        whole = re.sub(r"\D", "", whole)
        if high or len(fraction) not in (0, 2) or not _is_one_number(whole):
            said = self._amount(minus, low, dash, high, noun=unit[0])
            return words.glue.join((said, self._noun(high, unit) if high else unit[-1]))
        parts = [(whole, unit), (fraction.lstrip("0"), hundredth)]
        parts = [(number, forms) for number, forms in parts if number.strip("0")] or parts[:1]
        said = words.join.join(
            self._beside(self._before_noun(number, forms[0]), self._noun(number, forms)) for number, forms in parts
        )
        return f"{words.minus}{words.glue}{said}" if minus else said

    def _elided(self, text: str) -> str:
        pattern, short = _ELISIONS.get(self._language, ("(?!)", ""))
        return re.sub(pattern, short, text)


def _units(language: str) -> Mapping[str, Forms]:
    """The forms of each sign of a unit, other ways to write it included."""
    own = UNITS[language]
    found = dict(own)
    for alias, sign in ALIASES.items():
        while sign not in own and sign in ALIASES:
            sign = ALIASES[sign]
        if sign in own:
            found.setdefault(alias, own[sign])
    return found


def _any(signs: Iterable[str]) -> str:
    """A pattern of any of the signs, the longest first; of nothing where there are none."""
    return "|".join(map(_sign, sorted(signs, key=len, reverse=True))) or "(?!)"


def _key(unit: str) -> str:
    """A unit as the tables have it: "ч. л." is "ч.л"."""
    return "".join(unit.split()).rstrip(".") if " " in unit or unit.count(".") > 1 else unit


def _sign(sign: str) -> str:
    """A full stop belongs to an abbreviation before money or a comma and, as German nouns have capitals, a word."""
    if sign.endswith("."):
        word = rf"|\s(?!(?i:{'|'.join(GERMAN_BEGINNINGS)})\b)\w" if sign[0].isupper() else ""
        return rf"{re.escape(sign)}(?=\s?[{MONEY_SIGNS}]|[,;)]{word})"
    return GUARDED.get(sign, re.escape(sign))


def _is_one_number(digits: str) -> bool:
    return 0 < len(digits) <= MAX_DIGITS and (len(digits) == 1 or int(digits[0]) != 0)


def _without_stop(match: re.Match[str]) -> str:
    """A unit without its full stop, where that only ends the abbreviation: "5 min. later"."""
    return match[1] if match[2] is None or match[2].islower() else match[0]
