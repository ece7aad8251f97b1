"""Text to sentences that fit a prompt."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import sentencex

from bark_serving.voices import language_of

Tokenise = Callable[[str], Sequence[int]]

#: Scripts that tell a language of Bark's by themselves, tried in order (Japanese writes kanji beside kana).
_SCRIPTS = (
    ("ja", re.compile("[぀-ヿ]")),
    ("ko", re.compile("[가-힯]")),
    ("zh", re.compile("[一-鿿]")),
    ("hi", re.compile("[ऀ-ॿ]")),
    ("ru", re.compile("[Ѐ-ӿ]")),
)
_CLAUSE_ENDS = re.compile(r"(?<=[,;:、，；：–—])\s*")


def normalise(text: str) -> str:
    """Collapse whitespace, as Bark does before it tokenises."""
    return re.sub(r"\s+", " ", text).strip()


def guess_language(text: str, *, voice: str | None = None) -> str:
    """ISO 639-1 code for sentence splitting: from the voice's name (``v2/de_speaker_3``), else the script, else English."""
    return language_of(voice or "") or next((code for code, pattern in _SCRIPTS if pattern.search(text)), "en")


def split(text: str, *, language: str, tokenise: Tokenise, limit: int) -> list[str]:
    """Sentences of ``text``, each of at most ``limit`` tokens.

    Rules are sentencex's for the language. A sentence over the limit is cut at its clauses, then between words, then
    between characters: wherever the largest piece that fits ends.
    """
    pieces: list[str] = []
    for sentence in sentencex.segment(language, text):
        clean = normalise(sentence)
        if clean:
            pieces.extend(_fit(clean, tokenise=tokenise, limit=limit))
    return pieces


def _fit(sentence: str, *, tokenise: Tokenise, limit: int) -> list[str]:
    if len(tokenise(sentence)) <= limit:
        return [sentence]
    for parts, glue in ((_CLAUSE_ENDS.split(sentence), " "), (sentence.split(" "), " "), (list(sentence), "")):
        if len(parts) > 1:
            packed = _pack(parts, glue=glue, tokenise=tokenise, limit=limit)
            return [fitting for piece in packed for fitting in _fit(piece, tokenise=tokenise, limit=limit)]
    return [sentence]


def _pack(parts: Sequence[str], *, glue: str, tokenise: Tokenise, limit: int) -> list[str]:
    """Join neighbouring parts while they fit; at least two pieces come out, so that fitting makes progress."""
    packed: list[str] = []
    for part in parts:
        joined = glue.join([packed[-1], part]) if packed else part
        if packed and len(tokenise(joined)) <= limit:
            packed[-1] = joined
        else:
            packed.append(part)
    return [piece for piece in packed if piece]
