"""Chinese years, which are read digit by digit, and the "two" that comes before a measure word."""

from __future__ import annotations

import re

_YEAR = r"(?:1[1-9]|20)\d\d"
#: A round number may be how long something took. It is a year where something says so: "在1500年", "2000年代".
_ROUND_YEAR = rf"(?<=[在于自从到至元])(?<!存在){_YEAR}|{_YEAR}(?=年(?:\d|代|初|底|末))"
_YEARS = re.compile(
    r"(?<![\d.,])(?<!历时)(?<!历经)(?<!距今)(?<!持续)(?<!长达)(?<!存在了)"
    rf"(?:{_YEAR}[-–～至到]{_YEAR}|(?:1[1-9]|20)\d[1-9]|19[1-9]0|20[1-4]0|{_ROUND_YEAR})(?=年(?!的?历|[前来以之间]))"
)
#: 2 before a word that counts, but 第2个, 2年级 and 2次元 are no such numbers.
_TWO = re.compile(
    r"(?<![\d.,:/第¥$€£-])2(?=[个位只天岁张条件杯瓶辆台家座间种名周倍双对套棵颗支份句口匹头秒块万亿千]|"
    r"人(?!转|世界)|元(?![一方函论])|本(?!科)|年(?!级)|次(?![元方])|点(?!\d)|小时|分钟|公里|公斤|星期)"
)
_DIGITS = str.maketrans("0123456789", "零一二三四五六七八九")


def _years(match: re.Match[str]) -> str:
    """One year or a range."""
    return re.sub(r"\D", "到", match[0]).translate(_DIGITS)


RULES = ((_YEARS, _years), (_TWO, lambda _: "两"))
