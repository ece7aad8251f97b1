"""Korean numbers of its own, which count hours, people and things, and the names of June and October."""

from __future__ import annotations

import re

_MONTH = re.compile(r"(?<![\d.])(0?6|10)(?=월)")
#: 5개월, 3번지 and 3번 출구 have the numbers of Chinese origin.
_COUNTED = re.compile(
    r"(?<![\d.,:/제-])([1-9]\d?)(?:\s?[-~〜–]\s?([1-9]\d?))?"
    r"(?=\s?(?:시간|살|개(?![월년국소사])|명|마리|잔|병(?![원동])|번(?![지호]|\s?(?:출구|버스|문제|국도|선수|타자))))"
)
_ONES = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")


def _native(number: int) -> str:
    return "스무" if number == 20 else _TENS[number // 10] + _ONES[number % 10]


def _counted(match: re.Match[str]) -> str:
    low, high = (int(end) if end else None for end in match.groups())
    assert low is not None
    if high is None:
        return _native(low)
    return f"{_native(low)}에서 {_native(high)}" if low < high else match[0]


RULES = ((_MONTH, lambda match: "시" if match[1] == "10" else "유"), (_COUNTED, _counted))
