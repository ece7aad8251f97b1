"""Cutting a sentence that is too long: after its clauses, else before a conjunction, else between words.

The places are chosen together, so that the parts are of about the same length and none is a word or two. A text without
blanks between words is cut between two characters, a word only where nothing else helps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import ceil, inf

from bark_serving.arrays import Tokenise
from bark_serving.speech.text.pace import is_kana, is_unspaced, sign_seconds
from bark_serving.speech.text.sentences import NOTE
from bark_serving.speech.text.signs import TAG

SHORT_S = 1.4  #: expected seconds below which a prompt makes Bark babble: some four English words

#: What a cut costs by its place, beside the squared relative distance of a part from its best length. Where all places
#: cost the same, parts are longer than the best length by a factor of √(1 + cost).
_END, _CLAUSE, _CONJUNCTION, _WORD, _SIGN, _SHORT_WORD = -0.1, -0.08, 0.0, 0.15, 0.25, 0.3
_ABBREVIATION, _IN_WORD = 1.0, 2.0
_MAX_SHORT_WORD = 3  #: letters
_LAST_CYRILLIC = "\u052f"  #: Latin, Greek and Cyrillic letters come before it
_SHORT = 5.0  #: what a part below `SHORT_S` costs

_END_SIGNS = frozenset(".!?…。！？।")
_CLAUSE_SIGNS = frozenset(",;:、，；：–—-")
_CLOSING = "\"'”’»«)]}」』）】"
_ONLY_OPENING = "“‘„«([{「『（【¿¡"
_OPENING = "\"'" + _ONLY_OPENING
_NEVER_FIRST = frozenset("ーっゃゅょァィゥェォッャュョ々" + "、。，．！？；：」』）】〉》" + NOTE)
_RUN = re.compile(rf"(?:{TAG.pattern}|\S)+")

CONJUNCTIONS = {
    "en": "and but or nor so because since while when where which who that if although though unless until then than",
    "de": "und aber oder denn sondern weil dass wenn als während obwohl damit bevor nachdem sodass ob wo",
    "es": "y e o u pero sino porque que cuando mientras aunque donde si como pues",
    "fr": "et ou mais donc car parce que qui quand lorsque si où puis pendant alors comme",
    "hi": "और या लेकिन मगर परन्तु किन्तु क्योंकि कि जो जब तो यदि अगर इसलिए तथा",
    "it": "e ed o ma però perché che quando mentre se dove poi come anche quindi",
    "ja": "",
    "ko": "그리고 그러나 하지만 또는 그래서 그런데 왜냐하면 및",
    "pl": "i a ale lub albo bo ponieważ że kiedy gdy który która które jeśli gdzie aby więc oraz",
    "pt": "e ou mas porque que quando enquanto se onde pois como embora então",
    "ru": "и а но или что потому когда если где который которая которые чтобы пока хотя как",
    "tr": "ve veya ya ama fakat çünkü ki eğer ancak ise oysa",
    "zh": "",
}
_CONJUNCTIONS = {language: frozenset(words.split()) for language, words in CONJUNCTIONS.items()}


@dataclass(frozen=True)
class Room:
    """What one prompt has room for."""

    tokens: int
    longest_s: float  #: expected seconds that no part exceeds
    target_s: float  #: expected seconds that a part should have, where a sentence is cut


@dataclass(frozen=True)
class _Place:
    """Where a sentence may be cut, and what the part before it adds since the place before."""

    at: int  #: characters before it
    cost: float
    seconds: float
    tokens: int


def cut(sentence: str, *, tokenise: Tokenise, language: str, room: Room) -> list[str]:
    """Parts of a sentence that fit into `room`; each part of a song keeps its notes. Nothing but blanks is lost."""
    length = sum(sign_seconds(sign, language) for sign in sentence)
    if length <= room.longest_s and len(tokenise(sentence)) <= room.tokens:
        return [sentence]
    notes = 2 * len(tokenise(NOTE))
    if notes < room.tokens and sentence.count(NOTE) == 2 and sentence[0] == sentence[-1] == NOTE:
        room = Room(room.tokens - notes, room.longest_s, room.target_s)
        inside = sentence.strip(f"{NOTE} ")
        return [f"{NOTE} {part} {NOTE}" for part in _parts(inside, tokenise=tokenise, language=language, room=room)]
    return _parts(sentence, tokenise=tokenise, language=language, room=room)


def _parts(sentence: str, *, tokenise: Tokenise, language: str, room: Room) -> list[str]:
    places = _places(sentence, tokenise=tokenise, language=language, room=room)
    length, tokens = sum(place.seconds for place in places), sum(place.tokens for place in places)
    count = max(ceil(length / room.longest_s), ceil(tokens / room.tokens), 1)
    cuts = _best(places, room=room, goal_s=min(room.target_s, length / count) or inf)
    parts = [sentence[start:end].strip() for start, end in pairwise([0, *cuts])]
    # A tokenizer may make more of words that stand together than of each alone.
    return [half for part in parts if part for half in _halves(part, tokenise=tokenise, limit=room.tokens)]


def _best(places: list[_Place], *, room: Room, goal_s: float) -> list[int]:
    """The cheapest cuts, the last one at the end: for each place in turn, the best place for the cut before it."""
    least, before = [0.0], [0]
    for index, place in enumerate(places, 1):
        cheapest, chosen = inf, index - 1
        length, tokens = 0.0, 0
        for start in range(index - 1, -1, -1):
            length, tokens = length + places[start].seconds, tokens + places[start].tokens
            if start < index - 1 and (length > room.longest_s or tokens > room.tokens):
                break
            cost = least[start] + ((length - goal_s) / goal_s) ** 2 + (_SHORT if length < SHORT_S else 0.0)
            if cost < cheapest:
                cheapest, chosen = cost, start
        least.append(cheapest + (place.cost if index < len(places) else 0.0))
        before.append(chosen)
    cuts, index = [], len(places)
    while index:
        cuts.append(places[index - 1].at)
        index = before[index]
    return cuts[::-1]


def _places(sentence: str, *, tokenise: Tokenise, language: str, room: Room) -> list[_Place]:
    """Where the sentence may be cut, in order; the last place is its end."""
    count = cache(lambda text: max(1, len(tokenise(text))))
    found: list[_Place] = []
    start = 0
    for at, cost in _costs(sentence, language=language, longest_s=room.longest_s / 2, most=room.tokens):
        part = sentence[start:at].strip()
        found.append(_Place(at, cost, sum(sign_seconds(sign, language) for sign in part), count(part)))
        start = at
    return found


def _costs(sentence: str, *, language: str, longest_s: float, most: int) -> Iterator[tuple[int, float]]:
    """Positions of possible cuts and what each costs. A word above `longest_s`, or `most` signs, is cut, too."""
    runs = [match.span() for match in _RUN.finditer(sentence)]
    for index, (start, end) in enumerate(runs):
        run = sentence[start:end]
        after = sentence[slice(*runs[index + 1])] if index + 1 < len(runs) else ""
        unspaced = any(map(is_unspaced, run))
        if unspaced or len(run) > most or sum(sign_seconds(sign, language) for sign in run) > longest_s:
            for at, cost in _inside(run, unspaced=unspaced):
                yield start + at, cost
        begins = any(sign.isalnum() for sign in after) or after[:1] in _OPENING
        if not after or (begins and run[-1] not in _ONLY_OPENING):
            yield end, _after_run(run, after, language=language)


def _after_run(run: str, after: str, *, language: str) -> float:
    said = run.rstrip(_CLOSING)
    sign = said[-1:]
    if sign == "." and said == run and not said.endswith(".."):
        return _ABBREVIATION  # or an initial: a sentence does not end there
    if sign in _END_SIGNS:
        return _END
    if sign in _CLAUSE_SIGNS:
        return _CLAUSE
    if after.strip(_OPENING).lower() in _CONJUNCTIONS.get(language, ()):
        return _CONJUNCTION
    # "the", "de", "на" belong to what follows. Short words of other scripts belong to what comes before.
    return _SHORT_WORD if len(run) <= _MAX_SHORT_WORD and run[0] <= _LAST_CYRILLIC else _WORD


def _inside(run: str, *, unspaced: bool) -> Iterator[tuple[int, float]]:
    """Possible cuts between the characters of a run without blanks, but for its tags."""
    tags = [match.span() for match in TAG.finditer(run)]
    for at in range(1, len(run)):
        left, right = run[at - 1], run[at]
        if right in _NEVER_FIRST or left in _OPENING or not (right.isalnum() or right in _OPENING):
            continue
        while tags and tags[0][1] <= at:
            del tags[0]
        if tags and tags[0][0] < at:
            continue
        if unspaced and not (is_unspaced(left) or is_unspaced(right)):
            continue
        sign = run[:at].rstrip(_CLOSING)[-1:] if left in _CLOSING else left
        if sign in _END_SIGNS and unspaced:
            yield at, _END
        elif sign in _CLAUSE_SIGNS:
            yield at, _CLAUSE if unspaced else _WORD
        elif unspaced:
            yield at, _WORD if is_kana(left) and not is_kana(right) else _SIGN
        else:
            yield at, _IN_WORD


def _halves(text: str, *, tokenise: Tokenise, limit: int) -> Iterator[str]:
    """The text in as few halvings as make every part fit the limit; at a blank near the middle if there is one."""
    if len(text) < 2 or len(tokenise(text)) <= limit:
        yield text
        return
    middle = len(text) // 2
    blank = text.rfind(" ", len(text) // 4, middle + 1)
    at = blank if blank > 0 else middle
    for half in (text[:at].strip(), text[at:].strip()):
        if half:
            yield from _halves(half, tokenise=tokenise, limit=limit)
