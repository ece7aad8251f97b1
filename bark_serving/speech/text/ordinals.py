"""Ordinals with a full stop, which ends no sentence: German "3. Titel", Turkish "3. Köprü", and Korean dates.

A number and a full stop may also end a sentence: "Ich komme am 3. Wir essen dann." The words beside them decide.
"""

from __future__ import annotations

import re

from num2words import num2words

from bark_serving.speech.text.cardinals import cardinal


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


#: No "ein", "eine", "mein" or "ihre", after which a number may be a mark: "Ich habe eine 2. Peter hat keine 3. ..."
_DETERMINERS = _set("am im vom zum zur beim ins ans ab bis seit vor nach der die das dem den des einem einen eines") | {
    stem + ending
    for stems, endings in (("kein mein dein sein ihr unser eur", "em en es"), ("dies jed", "e em en er es"))
    for stem in _set(stems)
    for ending in _set(endings)
}
#: Those, beside all that end in "e", after which an ordinal ends in "e": "der dritte", but "dem dritten".
_NOMINATIVES = _set("der das ins ans dieser dieses jeder jedes")
#: Words that begin a German sentence and are no noun.
GERMAN_BEGINNINGS = _set(
    "ich du er sie es wir ihr man der die das den dem dies dieser diese dieses ein eine hier da dort dann danach doch "
    "aber und oder denn bitte wenn als ob wie was wer wo warum weil am im in mit nach vor zu auf für bei von ja nein "
    "nicht heute morgen gestern so auch alle alles"
)
#: Words before a Turkish number that ends a sentence: "Saat 5."
_TURKISH_COUNTED = _set("saat toplam sonuç numara numarası no sayfa bölüm yaşım yaşı fiyatı puanı")
_TURKISH_GENITIVE = re.compile(r"(?:['’]n?|\w{3}n)[ıiuü]n$")
#: Names that have an ordinal before them, and that begin few sentences.
_TURKISH_NAME = re.compile(r"Köprüsü|Lig\b|Dünya Savaşı|Ordu\b|Kolordu|Kongresi|Uluslararası|Abdülhamid")
_TURKISH_ENDINGS = dict(zip("aıeiouöü", ["ıncı", "ıncı", "inci", "inci", "uncu", "uncu", "üncü", "üncü"], strict=True))
MAX_DATE = 16  #: characters of a Korean date
_KOREAN_DATE = re.compile(r"(?<!\d)\d{4}\.((?:\s?\d{1,2}\.){0,2})$")


def goes_on_after(left: str, right: str, *, language: str) -> bool:
    """Whether a sentence goes on with `right`, where `left` ends in a number of at most four digits and a full stop."""
    before, _, number = left.removesuffix(".").rpartition(" ")
    match language:
        case "de":
            return is_german(before.rpartition(" ")[2], right)
        case "tr":
            return len(number) <= 2 and is_turkish(before.rpartition(" ")[2], right)
        case "ko":
            date = _KOREAN_DATE.search(left[-MAX_DATE:])
            return date is not None and (date[1].count(".") == 2 or re.match(r"\d{1,2}\.", right) is not None)
    return False


def is_german(before: str, after: str) -> bool:
    """Whether a number with a full stop between these words is an ordinal: "ihren 3. Titel"."""
    begins = after[:1].isupper() and re.split(r"\W", after, maxsplit=1)[0].lower() in GERMAN_BEGINNINGS
    return before.lower() in _DETERMINERS and not begins


def german(number: int, before: str) -> str:
    """The ordinal after this word, or after none: "am dritten", "die dritte", "dritter"."""
    said, word = str(num2words(number, to="ordinal", lang="de")), before.lower()
    if word not in _DETERMINERS:
        return f"{said}r"
    return said if word.endswith("e") or word in _NOMINATIVES else f"{said}n"


def is_turkish(before: str, after: str) -> bool:
    """Whether a number with a full stop between these words is an ordinal. The verb ends most Turkish sentences."""
    if after[:1].islower():
        return before.lower() not in _TURKISH_COUNTED
    return bool(_TURKISH_GENITIVE.search(before) or _TURKISH_NAME.match(after))


def turkish(number: int) -> str:
    """An ordinal: "üçüncü"."""
    said = cardinal(number, language="tr")
    said = f"{said[:-1]}d" if said.endswith("dört") else said
    ending = next(_TURKISH_ENDINGS[letter] for letter in reversed(said) if letter in _TURKISH_ENDINGS)
    return said + (ending[1:] if said[-1] in _TURKISH_ENDINGS else ending)
