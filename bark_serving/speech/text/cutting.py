"""Cutting a sentence that does not fit a prompt: at its clauses, then between words, then between characters."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence

from bark_serving.arrays import Tokenise
from bark_serving.speech.text.sentences import NOTE

_CLAUSE_ENDS = re.compile(r"(?<=[,;:、，；：–—])\s*")

_Cut = tuple[Callable[[str], Sequence[str]], str]
#: How to cut, coarsest first, and what joins the parts again.
_CUTS: tuple[_Cut, ...] = ((_CLAUSE_ENDS.split, " "), (str.split, " "), (list, ""))


def cut(sentence: str, *, tokenise: Tokenise, limit: int) -> list[str]:
    """Pieces of a sentence, each of at most `limit` tokens and as large as fits; pieces of a song keep their notes."""
    if len(tokenise(sentence)) <= limit:
        return [sentence]
    room = limit - 2 * len(tokenise(NOTE))
    if room > 0 and sentence.count(NOTE) == 2 and sentence[0] == sentence[-1] == NOTE:
        inside = _fit(sentence.strip(f"{NOTE} "), tokenise=tokenise, limit=room)
        return [f"{NOTE} {part} {NOTE}" for part in inside]
    return _fit(sentence, tokenise=tokenise, limit=limit)


def _fit(sentence: str, *, tokenise: Tokenise, limit: int, cuts: Sequence[_Cut] = _CUTS) -> list[str]:
    if not cuts or len(tokenise(sentence)) <= limit:
        return [sentence]
    (split, glue), finer = cuts[0], cuts[1:]
    packed = _pack([part for part in split(sentence) if part], glue=glue, tokenise=tokenise, limit=limit)
    return [piece for large in packed for piece in _fit(large, tokenise=tokenise, limit=limit, cuts=finer)]


def _pack(parts: Sequence[str], *, glue: str, tokenise: Tokenise, limit: int) -> list[str]:
    """Join neighbouring parts while they fit. Doubling, then bisecting, finds how many do."""
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
