"""Dates, years and ordinals."""

from __future__ import annotations

import re
from collections.abc import Iterator

from num2words import num2words

from bark_serving.speech.text import ordinals
from bark_serving.speech.text.cardinals import LOCALES, plain
from bark_serving.speech.text.clock import Clock
from bark_serving.speech.text.number_patterns import DASH
from bark_serving.speech.text.plurals import YEAR
from bark_serving.speech.text.quantities import Rule

MONTHS, MAX_DAY = 12, 31
LAST_YEAR = 40  #: of this century, where a year has two digits

_ISO_DATE = r"\b(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])\b"
_YEAR_SLASH_DATE = r"(?<![\w/.])(\d{4})/(0?[1-9]|1[0-2])/(0?[1-9]|[12]\d|3[01])(?![\w/])"
_SLASH_DATE = r"(?<![\w/.])(\d{1,2})/(\d{1,2})/(\d{4}|\d\d)(?![\w/])"
_DOT_DATE = r"(?<!\d[.,])\b(0?[1-9]|[12]\d|3[01])\.(0?[1-9]|1[0-2])\.(\d{4}|(?<=\d\d\.\d\d\.)\d\d)\b(?![.,]\d)"
_ENGLISH_ORDINAL = re.compile(r"(?<!\d[.,])\b(\d{1,3}(?:,\d{3})+|\d{1,6})(?:st|nd|rd|th)\b")
_GERMAN_ORDINAL = re.compile(r"(?:\b(\w+)\s)?\b(\d{1,2})\.\s?(?=[A-ZÄÖÜ]|(?:bis|und|oder)\s)")
_TURKISH_ORDINAL = re.compile(r"(?:(?<![\w'’])([\w'’]+)\s)?(?<![\w.,:/-])(\d{1,2})\.(?=\s[^\W\d_])")
_KOREAN_DATE = re.compile(
    r"(?<![\w.,])([12]\d{3})\.\s?(0?[1-9]|1[0-2])\.\s?(0?[1-9]|[12]\d|3[01])(?![\d%€$£]|[.,]\d)(?:\.(?=\s*\S))?"
)
#: "3. bis 5. Mai"
_DAYS = r"(\d{1,2})\.\s?(bis|und|oder|[-–])\s?(\d{1,2})\.\s?"
_ALONE = r"(?<![\w.,:/$€£–—-])"  # what a day stands behind
_ENGLISH_MONTHS_IN_SHORT = r"(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.?"
_WEEKDAY = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day,?"
_AN_ENGLISH_YEAR = r"(?=,?\s(?:1[1-9]|20)\d\d\b)"
#: What makes a number after a month a day, if "on" does not stand before it. "In March 15 men died" has no day.
_DAY_ENDS = rf"(?:{_AN_ENGLISH_YEAR}|(?=,(?!\d)|[.!?;:)\"”]+(?:\s|$)|\s*$|\s(?:is|was)\b))"
#: What stands before a day and its month: "Room 3 May be used" has none.
_BEFORE_A_DAY = (
    r"^|(?<![A-Z]\w)(?<![A-Z]\w\w)[.!?]\s|(?<!\d),\s|\(|"
    rf"\b(?:(?i:on|from|until|till|by|since|of|before|after|the)|{_WEEKDAY})\s"
)
_DETERMINER = r"(?:\b(an?|our|my|his|her|its|their|your)\s)?"
#: Words of several languages before a date, which may have a year of two digits then.
_DATE_WORD = re.compile(
    r"\b(?:on|by|since|until|dated?|due|am|vom|bis|seit|zum|ab|den|el|al|le|du|au|il|dal|del|em|dia|dnia):?\s$", re.I
)
#: Nouns after "3°" and "3º" that make an ordinal of it. Others may follow degrees: "30° oggi".
_AFTER_ORDINALS = {
    "es": "piso|puesto|lugar|grado|curso|año|mes|capítulo|trimestre",
    "it": "piano|posto|grado|anno|mese|livello|capitolo",
    "pt": "andar|lugar|grau|ano|mês|capítulo|trimestre|semestre|turno",
}
#: Cases of a Russian day after these words: "к девятому мая", "празднуем девятое мая".
_RUSSIAN_CASES = {"к": "d", "ко": "d", "между": "i", "перед": "i"} | dict.fromkeys(
    ("на", "по", "за", "ждём", "празднуем", "отмечаем", "наступит", "наступило"), "n"
)
_TODAY = ("это", "сегодня", "завтра", "вчера")  #: "Сегодня девятое мая.", but "Сегодня девятого мая шёл снег."
_LAST_SPANISH_ORDINAL = 10  #: num2words has others than Spanish says above it


class Dates(Clock):
    """Says dates, years and ordinals in one language."""

    def date_rules(self) -> Iterator[Rule]:
        """Rules of dates in digits."""
        yield self._beside_words(_ISO_DATE), lambda m: self.date(m[1], m[2], m[3])
        yield self._beside_words(_YEAR_SLASH_DATE), lambda m: self.date(m[1], m[2], m[3])
        yield self._beside_words(_SLASH_DATE), self.slash_date

    def written_date_rules(self) -> Iterator[Rule]:
        """Rules of days beside the name of a month, and of ordinals with a sign of their own."""
        months = "|".join(self._words.months)
        match self._language:
            case "en":
                month = rf"\b({months}|{_ENGLISH_MONTHS_IN_SHORT})"
                no_time = r"(?![\w:/%]|[.,]\d|\s?[ap]\.?m\b)"
                day = rf"{month}\s(\d{{1,2}})(?:(?:{DASH})(\d{{1,2}}))?{no_time}"
                to = r"\s(?:to|and|or|until|through|[-–—])\s"
                days = rf"(?<!\b[Ii]n\s){month}\s(\d{{1,2}})({to}){month}\s(\d{{1,2}}){no_time}"
                yield re.compile(days), self._english_days
                yield re.compile(rf"(?:(?<=\b[Oo]n\s)|(?<=day\s)|(?<=day,\s)){day}"), self._english_day
                yield re.compile(rf"(?<!\b[Ii]n\s){day}(?(3)|{_DAY_ENDS})", re.MULTILINE), self._english_day
                for before in (_BEFORE_A_DAY, rf"\bof (?:{months}) (?:(?:to|and|or) |[-–—] ?)"):
                    yield re.compile(rf"({before})(\d{{1,2}}) ({months})\b", re.MULTILINE), self._english_day_first
                no_range = "".join(rf"(?<!\d {word} )" for word in ("to", "and", "or", "-", "–", "—"))
                dated = rf"{no_range}{_DETERMINER}{no_range}{_ALONE}(\d{{1,2}}) ({months})\b{_AN_ENGLISH_YEAR}"
                yield re.compile(dated), self._english_day_first
            case "pl":
                days = rf"{_ALONE}(?:(\d{{1,2}})(\s(?:do|i|lub|oraz)\s))?(\d{{1,2}})(?=\s(?:{months})\b)"
                yield re.compile(days), self._polish_days
            case "ru":
                year = r"([12]\d{3})\s(?:года\b|г\.)"
                days = rf"(?:\b(\w+)\s)?{_ALONE}(?:(\d{{1,2}})(\s(?:по|и|или)\s))?(\d{{1,2}}) ({months})\b"
                yield re.compile(rf"{days}(?: {year})?"), self._russian_date
                yield re.compile(rf"(?:\b([ВвКк])\s)?{_ALONE}([12]\d{{3}}) (год[ау]?\b|г\.)"), self._russian_year
            case "es" | "it" | "pt":
                nouns, other = _AFTER_ORDINALS[self._language], r"(?:\s[eoy]\s\d{1,2}[º°])?"
                noun = rf"(?={other}\s(?:{nouns})\b)|(?<=\b1[º°])(?=\s(?:de )?(?:{months})\b)"
                sign = rf"(\.?ª(?!\w)|\.º(?!\w|\s?[CF]\b)|[º°](?:{noun}))"
                yield re.compile(rf"{_ALONE}(\d{{1,2}}){sign}"), self._ordinal_with_sign

    def own_rules(self) -> list[Rule]:
        """Rules of single languages that come after those of units."""
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
                days = re.compile(rf"(?:\b(\w+)\s)?{_DAYS}(?={'|'.join(self._words.months)})")
                return [
                    (dotted, self._german_date),
                    (days, self._german_days),
                    (_GERMAN_ORDINAL, self._german_ordinal),
                    (year, lambda m: self.year(int(m[1]))),
                ]
        return []

    def date(self, year: str, month: str, day: str) -> str:
        """A date. A year of two digits is one of the hundred up to `LAST_YEAR`."""
        year = _full(year)
        said = self.digits(year) if self._language == "zh" else self.year(int(year))
        return self._words.date.format(d=self._day(int(day)), month=self._words.months[int(month) - 1], y=said)

    def slash_date(self, match: re.Match[str]) -> str:
        """English has the month first, other languages the day; what cannot be a month is the day."""
        month, day = (1, 2) if self._language == "en" else (2, 1)
        if int(match[month]) > MONTHS:
            month, day = day, month
        if not (self._is_date(match, 1) and 1 <= int(match[month]) <= MONTHS and 1 <= int(match[day]) <= MAX_DAY):
            return match[0]
        return self.date(match[3], match[month], match[day])

    @staticmethod
    def _is_date(match: re.Match[str], day: int) -> bool:
        """Whether three numbers are a date though the year has two digits: "The 10/20/30 rule" is none."""
        before = match.string[max(0, match.start(day) - 10) : match.start(day)]
        return len(match[day + 2]) == 4 or bool(re.search(r"\b0\d", match[0]) or _DATE_WORD.search(before))

    def dot_date_rule(self) -> Rule:
        """The rule of dates with full stops."""
        return self._beside_words(_DOT_DATE), self._dot_date

    def _dot_date(self, match: re.Match[str]) -> str:
        day, month, year = match.groups()
        sure = len(year) == 4 or (self._language != "en" and self._is_date(match, 1))
        return self.date(year, month, day) if sure else match[0]

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
        if not self._is_date(match, 2):
            return match[0]
        said = f"{self._words.months[int(month) - 1]} {self.year(int(_full(year)))}"
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
        if (begins and not rest[:1].islower()) or not ordinals.is_turkish(before, rest):
            return match[0]
        return f"{before} {ordinals.turkish(int(match[2]))}".lstrip()

    def _german_days(self, match: re.Match[str]) -> str:
        before, first, word, last = match.groups()
        days = [ordinals.german(int(day), before or "") for day in (first, last)]
        return f"{before or ''} {days[0]} {word if word.isalpha() else 'bis'} {days[1]} ".lstrip()

    def _english_day(self, match: re.Match[str]) -> str:
        month, *days = match.groups()
        days = [day for day in days if day]
        if not all(1 <= int(day) <= MAX_DAY for day in days):
            return match[0]
        return f"{month} {self._to.join(self._day(int(day)) for day in days)}"

    def _english_days(self, match: re.Match[str]) -> str:
        month, day, to, other, last = match.groups()
        if not (1 <= int(day) <= MAX_DAY and 1 <= int(last) <= MAX_DAY):
            return match[0]
        return f"{month} {self._day(int(day))}{to}{other} {self._day(int(last))}"

    def _english_day_first(self, match: re.Match[str]) -> str:
        before, day, month = match.groups()
        before = before or ""
        if not 1 <= int(day) <= MAX_DAY:
            return match[0]
        blank = " " if before[-1:].isalpha() else ""
        the = "" if blank or before.lower().endswith("the ") else "the "
        return f"{before}{blank}{the}{self._day(int(day))} of {month}"

    def _polish_days(self, match: re.Match[str]) -> str:
        first, word, last = match.groups()
        return f"{self._day(int(first)) + word if first else ''}{self._day(int(last))}"

    def _russian_date(self, match: re.Match[str]) -> str:
        """ "9 мая 1945 года": on that day, unless the words before or after it tell another case."""
        before, first, word, day, month, year = match.groups()
        after, case = match.string[match.end() :].lstrip()[:1], _RUSSIAN_CASES.get((before or "").lower(), "g")
        if (after in ("—", "–") and not before) or ((before or "").lower() in _TODAY and not after.islower()):
            case = "n"
        said = f"{before} " if before else ""
        if first:
            said += f"{_russian(int(first), case, gender='n')}{word}"
            case = "n" if word.strip() == "по" else case
        said += f"{_russian(int(day), case, gender='n')} {month}"
        return f"{said} {_russian(int(year), 'g')} года{_stop(match)}" if year else said

    def _russian_year(self, match: re.Match[str]) -> str:
        """ "в 1945 году", "к 1945 году", "1945 год": what comes before and the noun tell the case."""
        before, year, noun = match.groups()
        if noun == "г." and not before:
            return match[0]
        case = "d" if before in ("К", "к") else {"год": "n", "года": "g"}.get(noun, "p")
        noun = "году" if noun == "г." else noun
        return f"{before or ''} {_russian(int(year), case)} {noun}{_stop(match)}".lstrip()

    def _ordinal_with_sign(self, match: re.Match[str]) -> str:
        """ "3° piano", "3.ª": the latter is feminine."""
        number, sign = int(match[1]), match[2]
        if not number or (self._language == "es" and number > _LAST_SPANISH_ORDINAL):
            return match[0]
        said = str(num2words(number, to="ordinal", lang=LOCALES.get(self._language, self._language)))
        if "ª" in sign:
            return re.sub(r"o\b", "a", said)
        before_noun = re.match(r"\s(?!de\b)[^\W\d]", match.string[match.end() :])
        return said.removesuffix("o") if self._language == "es" and number in (1, 3) and before_noun else said


def _full(year: str) -> str:
    return year if len(year) != 2 else f"{20 if int(year) <= LAST_YEAR else 19}{year}"


def _russian(number: int, case: str, *, gender: str = "m") -> str:
    return str(num2words(number, to="ordinal", lang="ru", case=case, gender=gender))


def _stop(match: re.Match[str]) -> str:
    """The full stop of an abbreviation, where it also ends the sentence."""
    after = match.string[match.end() :].lstrip()[:1]
    return "." if match[0].endswith(".") and (not after or after.isupper()) else ""
