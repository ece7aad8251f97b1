"""What a number looks like in a text, its minus and the dash of a range, as regular expressions."""

from __future__ import annotations

import re

from bark_serving.speech.text.number_words import WORDS

#: Between the ends of a range. A hyphen has no blanks beside it: "10 - 12" may be a subtraction.
DASH = r"\s?[–〜~～]\s?|[-—]"
MONEY_SIGNS = "$€£¥₹₽₩₺"  #: of all languages

_NO_BREAK = "\u00a0\u202f\u2009"  # blanks that group digits in every language
_OPENING = r"\s(\[{“‘„«‹「『（【〈《–~〜～…=<>≤≥≈"  # also a range's dash and signs of comparison
_CJK_LETTERS = "\u3041-\u30ff\u3400-\u9fff"
_CJK_BEFORE = f"[{_CJK_LETTERS}、。，：；]"
_PARTICLES = "到至是為为達达在はがもへでにと"  # of Chinese and Japanese; a number follows them
_BEFORE_A_CHANGE = (
    "から|增长|下降|下跌|上涨|减少|增加|同比|环比|增幅|降幅|涨幅|跌幅|气温|利率|増加|減少|低下|上昇|下落|気温"  # too
)
#: Groups of two digits. In English "9,10,100" may be a list: there are rupees before a number, or whole lakhs in it.
_INDIAN = {
    "hi": [r"\d{1,2}(?:,\d\d)+,\d{3}(?!\d)"],
    "en": [r"(?:(?<=₹)|(?<=₹\s))\d{1,2}(?:,\d\d)+,\d{3}(?!\d)", r"\d{1,2}(?:,\d\d)*,00,000(?!\d)"],
}
_DIALLED_IN_THREES = frozenset({"es", "it", "pl", "pt"})  #: telephone numbers are written "612 345 678"
_GLUED = frozenset({"ja", "ko", "zh"})  #: letters stand next to digits
_UNSPACED = frozenset({"ja", "zh"})


def number(language: str) -> str:
    """A number with its groups of digits and its fraction. It is read as a whole or not at all.

    "1,50" is no English number, and neither its "1" nor its "50" is one.
    """
    words = WORDS[language]
    signs, blanks = re.escape(words.thousands.strip()), _NO_BREAK
    group = r"\d{3}(?!\d)"
    grouped = [rf"\d{{1,3}}(?:[{signs}]{group})+"]
    grouped += _INDIAN.get(language, [])
    if words.thousands.startswith(" "):
        blanks += " "
    else:
        grouped.append(_not_dialled(" ", r"000(?!\d)"))  # a blank parts numbers, but no number is "000"
    threes = r"(?!\d{3} \d{3} (?!000)\d{3}(?!\d))" if language in _DIALLED_IN_THREES else ""
    grouped.append(threes + _not_dialled(f"[{blanks}]", group))
    return rf"(?>(?:{'|'.join(grouped)}|\d+)(?:{re.escape(words.decimal)}\d+)?)(?![.,]\d)"


def _not_dialled(blank: str, group: str) -> str:
    """Groups of digits with blanks between them, at most 15 digits. With other digits beside them they are no number.

    They are a telephone number then, or a list: "0800 123 456", "91 123 45 67".
    """
    return rf"(?<!\d{blank})\d{{1,3}}(?:{blank}{group}){{1,4}}(?!{blank}\d)"


def before_number(language: str) -> str:
    """What no number stands behind: a letter, or a number and a point or a comma."""
    return rf"(?<!{letter(language)})(?<!\d[.,])"


def letter(language: str) -> str:
    """A sign that makes a word with the digits beside it. Chinese, Japanese and Korean write letters next to digits."""
    return r"[A-Za-z_\d]" if language in _GLUED else r"\w"


def beside_words(pattern: str, *, language: str) -> re.Pattern[str]:
    r"""A pattern whose ``\w`` and ``\b`` mean what `letter` means."""
    return re.compile(pattern, re.ASCII if language in _GLUED else 0)


def minus(language: str) -> str:
    """A hyphen that is a minus: after a blank, what opens a bracket or a quotation, a range's dash, or at the start.

    So is an en dash, but not after a number or a month and a blank, where it may be a range's, nor where another one
    closes a parenthesis: "2020 –2021", "Pedro –37 años– vive".
    """
    no_range = "".join(rf"(?<!{month}\s)" for month in (r"\d", *WORDS[language].months))
    no_parenthesis = r"(?!(?:[^\n.!?–]|\.(?=\d)){1,80}(?<!\s)–(?:[\s.,;:!?)]|$))"
    before = rf"(?<![^{_OPENING}])|(?<=[\s(][\"'])|(?<=\A[\"'])"
    after_word = rf"|(?<={_CJK_BEFORE})−" if language in _UNSPACED else ""
    return rf"(?:(?:{before})(?:[-−]|{no_range}–{no_parenthesis}){after_word})"


def minus_after_word(language: str) -> str | None:
    """A hyphen that is a minus after a word, where no blanks part words: "気温は-5度", but not "5公里-10公里".

    A word of up to four letters between a number and the hyphen is a unit, unless it ends in a particle or in a word
    such as "rise": "从5度到-5度".
    """
    if language not in _UNSPACED:
        return None
    no_unit = "".join(rf"(?<!\d[{_CJK_LETTERS}]{{{letters}}})" for letters in range(1, 5))
    return rf"(?<={_CJK_BEFORE})(?:(?<=[{_PARTICLES}])|(?<={_BEFORE_A_CHANGE})|{no_unit})-(?=\d)"
