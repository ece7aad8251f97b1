"""Korean numbers of its own, which count hours, people and things, and the names of June and October."""

from __future__ import annotations

import re

_MONTH = re.compile(r"(?<![\d.])(0?6|10)(?=월)")
_NUMBER = r"([1-9]\d?)(?:\s?[-~〜–]\s?([1-9]\d?))?"
#: 5개월 is no 5개.
_COUNTED = re.compile(rf"(?<![\d.,:/제-]){_NUMBER}(?=(\s?(?:시간|살|개(?![월년국소사])|명|마리|잔|병(?![원동]))))")
#: 번 means "times" after these words. Elsewhere it may be the number of something.
_TIMES = re.compile(rf"(?:(?<=하루에\s)|(?<=[달주년]에\s)|(?<=주일에\s)|(?<=총\s)){_NUMBER}(?=(\s?번(?!\s?출구)))")
_ONES = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")


def _native(number: int) -> str:
    return "스무" if number == 20 else _TENS[number // 10] + _ONES[number % 10]


def _counted(match: re.Match[str]) -> str:
    low, high, noun = match.groups()
    if high is None:
        return _native(int(low))
    return f"{_native(int(low))}{noun}에서 {_native(int(high))}" if int(low) < int(high) else match[0]


RULES = ((_MONTH, lambda match: "시" if match[1] == "10" else "유"), (_COUNTED, _counted), (_TIMES, _counted))
