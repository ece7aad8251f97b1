"""Text to sentences that fit into a prompt."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence

import sentencex

from bark_serving.arrays import Tokenise
from bark_serving.voices import language_of

#: What counts as a word, by language. Each of these scripts except Latin stands for one of Bark's languages. In scripts
#: without blanks between words, each character counts as a word.
_WORDS = {
    "ja": re.compile("[぀-ヿ]"),
    "zh": re.compile("[一-鿿]"),
    "ko": re.compile("[가-힯]+"),
    "hi": re.compile("[ऀ-ॿ]+"),
    "ru": re.compile("[Ѐ-ӿ]+"),
    "en": re.compile("[A-Za-zÀ-ɏ]+"),
}
_BLANKS = re.compile(r"[^\S\r\n]")
_CLAUSE_ENDS = re.compile(r"(?<=[,;:、，；：–—])\s*")

#: How to cut a sentence that is too long, coarsest cut first, and the string that joins the parts again.
_Cut = tuple[Callable[[str], Sequence[str]], str]
_CUTS: tuple[_Cut, ...] = ((_CLAUSE_ENDS.split, " "), (str.split, " "), (list, ""))


def normalise(text: str) -> str:
    """Collapse whitespace, as Bark does before it tokenises."""
    return re.sub(r"\s+", " ", text).strip()


def guess_language(text: str, *, voice: str | None = None) -> str:
    """ISO 639-1 code: of the voice's name (``v2/de_speaker_3``), else of the most frequent script, else English."""
    if named := language_of(voice or ""):
        return named
    words = {code: len(pattern.findall(text)) for code, pattern in _WORDS.items()}
    if words["ja"]:  # Japanese writes kanji beside its kana
        words["ja"] += words.pop("zh")
    return max(words, key=lambda code: words[code]) if any(words.values()) else "en"


def split(text: str, *, language: str, tokenise: Tokenise, limit: int) -> list[str]:
    """Sentences of ``text``, each of at most ``limit`` tokens.

    sentencex finds the sentences by the rules of the language. A single capital with a full stop (an initial, the
    French "M.") does not end a sentence. A sentence over the limit is cut into the largest pieces that fit: between
    clauses, if that is not enough between words, and then between characters. Pieces without a token are left out.
    """
    sentences: list[str] = []
    # sentencex 1.0.32 panics at some blanks that are not ASCII.
    for segment in sentencex.segment(language, _BLANKS.sub(" ", text)):
        clean = normalise(segment)
        if sentences and _ends_in_initial(sentences[-1]):
            sentences[-1] = normalise(f"{sentences[-1]} {clean}")
        elif clean:
            sentences.append(clean)
    pieces = [piece for sentence in sentences for piece in _fit(sentence, tokenise=tokenise, limit=limit)]
    return [piece for piece in pieces if tokenise(piece)]


def _ends_in_initial(sentence: str) -> bool:
    last = sentence.split(" ")[-1]
    return len(last) == 2 and last[0].isupper() and last[1] == "."


def _fit(sentence: str, *, tokenise: Tokenise, limit: int, cuts: Sequence[_Cut] = _CUTS) -> list[str]:
    if not cuts or len(tokenise(sentence)) <= limit:
        return [sentence]
    (cut, glue), finer = cuts[0], cuts[1:]
    packed = _pack([part for part in cut(sentence) if part], glue=glue, tokenise=tokenise, limit=limit)
    return [piece for large in packed for piece in _fit(large, tokenise=tokenise, limit=limit, cuts=finer)]


def _pack(parts: Sequence[str], *, glue: str, tokenise: Tokenise, limit: int) -> list[str]:
    """Join neighbouring parts while they fit. Doubling, then bisecting, finds how many fit with few calls."""
    packed: list[str] = []
    start = 0
    while start < len(parts):

        def exceeds(count: int, start: int = start) -> bool:
            return len(tokenise(glue.join(parts[start : start + count]))) > limit

        left, beyond = len(parts) - start, 2
        while beyond <= left and not exceeds(beyond):
            beyond *= 2
        count = bisect_left(range(min(beyond, left + 1)), True, lo=beyond // 2 + 1, key=exceeds) - 1
        packed.append(glue.join(parts[start : start + count]))
        start += count
    return packed
