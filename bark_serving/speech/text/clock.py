"""Times of day, ranges of them, and times with seconds."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bark_serving.speech.text.cardinals import noun_after
from bark_serving.speech.text.number_patterns import MONEY_SIGNS, beside_words
from bark_serving.speech.text.quantities import Quantities, Rule

_HOUR = r"([01]?\d|2[0-3])"
_MINUTES = r"[:：]([0-5]\d)"
#: What follows a time and is said with it, or not at all.
_AFTER = {"de": "h|Uhr", "hi": "h|बजे"}
_MERIDIEM = r"(\s?(?:am|pm|AM|PM|[ap]\.m\.))?"
_NO_MORE = r"(?![\w:：]|\.\d|,\d(?!\d?:))"  # but "9:00,10:30" are two
#: Chinese and Japanese letters before a time. Others stand before a score or a verse: "约翰福音3:16".
_BEFORE_A_TIME = r"(?:(?<![\u3400-\u9fff])|(?<=[在于至到从自由午晚晨早夜里间天日号一二三四五六前後时時朝]))"
#: "1h 30m" has minutes, not meters.
_HOURS_MINUTES = r"\b(\d{1,3})\s?h\s?([0-5]?\d)\s?m(?:in)?(?![\w'’²³/])"
#: "8h30", and "8h/jour", but "8 h 30 min" is no time of day.
_HOUR_TIME = re.compile(r"\b([01]?\d|2[0-3])\s?h(?:\s?([0-5]\d)\b(?!['’]|\s?min)|(?=/))")
_KOREAN_HOUR = re.compile(r"(?<![\d:.,])([01]?\d|2[0-3])시(?!간)")
_GERMAN_TIME = re.compile(r"\b([01]?\d|2[0-3])\.([0-5]\d)\sUhr\b")


class Clock(Quantities):
    """Says times in one language."""

    def clock_rules(self) -> Iterator[Rule]:
        """Rules that come before those of units, which would take an "h"."""
        before = rf"(?<![\w.:：{MONEY_SIGNS}])(?:(?<!\d,)|(?<=:\d\d,)){_BEFORE_A_TIME}"
        seconds = rf"{before}(\d{{1,3}})((?::[0-5]\d){{1,2}})((?:{re.escape(self._words.decimal)}\d{{1,3}})?){_NO_MORE}"
        yield self._beside_words(seconds), self._with_seconds
        if self._language == "en":
            time = f"{_HOUR}(?:{_MINUTES})?{_MERIDIEM}"
        else:
            time = rf"{_HOUR}{_MINUTES}()(?:\s?(?:{_AFTER.get(self._language, 'h')})(?!\w))?"
        yield self._beside_words(rf"{before}{time}(?:(\s?[-–—〜~～]\s?){time})?{_NO_MORE}"), self._times
        yield self._beside_words(_HOURS_MINUTES), lambda m: f"{m[1]} h {m[2]} min"
        match self._language:
            case "fr" | "pt":
                yield _HOUR_TIME, lambda m: self.time(int(m[1]), int(m[2] or 0))
            case "ko":
                yield _KOREAN_HOUR, lambda m: self.time(int(m[1]), 0)
            case "de":
                yield _GERMAN_TIME, lambda m: self.time(int(m[1]), int(m[2]))

    def time(self, hours: int, minutes: int) -> str:
        """A time of day."""
        words = self._words
        hour = words.hours.get(hours) or self.cardinal(hours)
        noun = noun_after(hours, words.hour, language=self._language) if words.hour else ""
        if not minutes:
            return words.full_hour.format(h=hour, hour=noun)
        return words.time.format(h=hour, m=self._minutes(minutes), hour=noun)

    def _beside_words(self, pattern: str) -> re.Pattern[str]:
        return beside_words(pattern, language=self._language)

    def _minutes(self, minutes: int) -> str:
        zero = {"en": "oh ", "zh": "零"}.get(self._language, "") if minutes < 10 else ""
        return f"{zero}{self.cardinal(minutes)}"

    def _times(self, match: re.Match[str]) -> str:
        """A time or a range of times. What has neither minutes nor "am" or "pm" is none."""
        *first, dash, hours, minutes, half = match.groups()
        if not (minutes or half if dash else first[1] or first[2]):
            return match[0]
        said = [self._time(*first), *([self._time(hours, minutes, half)] if dash else [])]
        return self._to.join(said)

    def _time(self, hours: str, minutes: str | None, half: str | None) -> str:
        minute = int(minutes or 0)
        if half:
            return " ".join(
                filter(None, (self.cardinal(int(hours)), self._minutes(minute) if minute else "", half.strip()))
            )
        return self.time(int(hours), minute) if minutes else self.cardinal(int(hours))

    def _with_seconds(self, match: re.Match[str]) -> str:
        """ "1:23:45" may be a time of day or how long something took; "3:26.5" are minutes."""
        first, others, fraction = match.groups()
        parts = [first, *others[1:].split(":")]
        if fraction:
            units = zip(map(int, parts), ("h ", "min ", "s")[-len(parts) :], strict=True)
            return "".join(f"{part}{fraction if unit == 's' else ''} {unit}" for part, unit in units)
        if len(parts) == 2:
            return match[0]
        hour, minute, second = map(int, parts)
        if self._words.glue:
            return f"{self.cardinal(hour)} {self._minutes(minute)} {self._minutes(second)}"
        return f"{self.time(hour, minute)}{self.cardinal(second)}{self._units['s'][0]}"
