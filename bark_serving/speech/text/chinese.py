"""Chinese years, which are read digit by digit, and the "two" that comes before a measure word."""

from __future__ import annotations

import re

_YEAR = r"(?:1[1-9]|20)\d\d"
#: No number of years: "1500年前".
_YEARS = re.compile(rf"(?<![\d.,])({_YEAR})(?:([-–~～至到])({_YEAR}))?(?=年(?!的?历|[前来以之间]))")
#: 2 before a word that counts, but 第2个, 2年级 and 2次元 are no such numbers.
_TWO = re.compile(
    r"(?<![\d.,:/第¥$€£-])2(?=[个位只天岁张条件杯瓶辆台家座间种名周倍双对套棵颗支份段句口匹头秒人块元万亿本千]|"
    r"年(?!级)|次(?!元)|点(?!\d)|小时|分钟|公里|公斤|星期)"
)
_DIGITS = str.maketrans("0123456789", "零一二三四五六七八九")


def _years(match: re.Match[str]) -> str:
    """One year or a range."""
    first, dash, last = match.groups()
    return f"{first}到{last}".translate(_DIGITS) if dash else first.translate(_DIGITS)


RULES = ((_YEARS, _years), (_TWO, lambda _: "两"))
