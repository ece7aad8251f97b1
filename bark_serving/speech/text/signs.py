"""Signs: composing them, replacing those that a vocabulary lacks, leaving out those that nothing can say.

What a vocabulary has is asked of the checkpoint's tokenizer. No list here is one checkpoint's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Knows = Callable[[str], bool]  #: whether the tokenizer has tokens for a text, none of them the unknown one

MAX_SHOWN = 10  #: signs that one note names

#: A sound or a speaker in brackets, as Bark was trained on. Numbers and signs in it stay as they are.
TAG = re.compile(r"\[[^\[\]\n]{1,40}\]")

#: Typographic signs → what stands for them on a typewriter.
_EQUIVALENTS = {
    **dict.fromkeys("’‘‚‛′´`ʼ＇‹›", "'"),
    **dict.fromkeys("“”„‟″«»〝〞＂", '"'),
    **dict.fromkeys("‐‑‒–—―−﹘﹣－", "-"),
    **dict.fromkeys("•‣▪●◦∙", "-"),
    **dict.fromkeys("¡¿", ""),
    **dict.fromkeys("♫♬", "♪"),
    "…": "...",
    "⁄": "/",
    "∶": ":",
    "×": "x",
    "。": ".",
    "、": ",",
}
#: Forms of letters and digits, by Unicode's names, that are read otherwise than the plain ones: "m²" and "½".
_OTHER_LETTERS = frozenset({"<super>", "<fraction>"})
_INVISIBLE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})
_VARIATION_SELECTORS = frozenset(map(chr, range(0xFE00, 0xFE10)))


@dataclass(frozen=True)
class Cleaned:
    """A text, and what was done to it in whole sentences."""

    text: str
    notes: tuple[str, ...] = ()


def compose(text: str) -> str:
    """Unicode's composed form (NFC): Suno's tokenizer composed, and its vocabulary has composed letters only."""
    return unicodedata.normalize("NFC", text)


def fold_letters(text: str, *, knows: Knows) -> Cleaned:
    """Replace ligatures, full-width, half-width and mathematical letters by plain ones (Unicode's NFKC).

    Only in words that the vocabulary lacks, and only by letters that it has. A run is folded as a whole, since
    half-width kana have their marks beside them: "ﾋﾞ" is "ビ".
    """
    folded = {sign for sign in set(text) if _is_compatible(sign) and _has_plain(sign, knows=knows)}
    if not folded:
        return Cleaned(text)
    runs = re.compile(f"[{re.escape(''.join(sorted(folded)))}]+")
    shown: dict[str, None] = {}

    def plain(match: re.Match[str]) -> str:
        letters = unicodedata.normalize("NFKC", match[0])
        shown[f"{match[0][:MAX_SHOWN]} as {letters[:MAX_SHOWN]}"] = None
        return letters

    def word(match: re.Match[str]) -> str:
        return runs.sub(plain, match[0]) if runs.search(match[0]) and not knows(match[0]) else match[0]

    text = compose(re.sub(r"\S+", word, text))
    return Cleaned(text, (_read_as_others("letters", shown),) if shown else ())


def _is_compatible(letter: str) -> bool:
    """Whether this is another form of a plain letter or digit, which reads as that one."""
    form = unicodedata.decomposition(letter).partition(" ")[0]
    return letter.isalnum() and form.startswith("<") and form not in _OTHER_LETTERS


def _has_plain(letter: str, *, knows: Knows) -> bool:
    """Whether the vocabulary has the plain letters of a letter. A mark is joined with the letter before it."""
    return all(unicodedata.combining(sign) or knows(sign) for sign in unicodedata.normalize("NFKC", letter))


def fold(text: str, *, knows: Knows) -> Cleaned:
    """Replace signs that the vocabulary lacks by equivalents that it has. Letters and digits stay as they are."""
    replaced: dict[str, str | int | None] = {}
    shown = []
    for sign in _lacking(text, knows=knows):
        for other in (_EQUIVALENTS.get(sign), unicodedata.normalize("NFKC", sign)):
            if other is not None and other != sign and (not other.strip() or knows(other)):
                replaced[sign] = other
                shown.append(f"{sign} as {other.strip() or 'nothing'}")
                break
    if not replaced:
        return Cleaned(text)
    return Cleaned(text.translate(str.maketrans(replaced)), (_read_as_others("signs", shown),))


def _read_as_others(what: str, shown: Iterable[str]) -> str:
    return f"{what} that this checkpoint's tokenizer lacks are read as others: {', '.join(list(shown)[:MAX_SHOWN])}."


def leave_out(text: str, *, knows: Knows) -> Cleaned:
    """Leave out emoji and other signs that the vocabulary lacks; tags such as ``[laughs]`` where it lacks brackets.

    What is not seen, and quotation marks and dashes, are left out without a note.
    """
    lost: dict[str, None] = {}
    if not (knows("[") and knows("]")):
        for tag in TAG.findall(text):
            lost[tag] = None
        text = TAG.sub(" ", text)
    lacking = _lacking(text, knows=knows)
    invisible = {sign for sign in lacking if sign in _VARIATION_SELECTORS or unicodedata.category(sign) in _INVISIBLE}
    lost.update(dict.fromkeys(sign for sign in lacking if sign not in invisible and sign not in _EQUIVALENTS))
    gaps: dict[str, str | int | None] = {sign: "" if sign in invisible else " " for sign in lacking}
    text = text.translate(str.maketrans(gaps))
    shown = " ".join(list(lost)[:MAX_SHOWN])
    return Cleaned(text, (f"nothing can be said for {shown}: left out.",) if lost else ())


def _lacking(text: str, *, knows: Knows) -> list[str]:
    """The signs of a text that the vocabulary lacks, in order of their first use.

    A mark belongs to the letter before it and is none, unless it selects a variant of a sign or encloses one.
    """
    return [
        sign
        for sign in dict.fromkeys(text)
        if not (sign.isalnum() or sign.isspace())
        and (unicodedata.category(sign) not in ("Mn", "Mc") or sign in _VARIATION_SELECTORS)
        and not knows(sign)
    ]


def cut_long_words(text: str, *, knows: Knows, limit: int) -> Cleaned:
    """Cut words that are too long for the tokenizer, which would make one unknown token of each.

    limit: characters that the tokenizer takes as one word.
    """
    count = 0

    def cut(match: re.Match[str]) -> str:
        nonlocal count
        word = match[0]
        if knows(word):
            return word
        count += 1
        return " ".join(word[start : start + limit] for start in range(0, len(word), limit))

    text = re.sub(rf"\S{{{limit + 1},}}", cut, text)
    words = "1 word" if count == 1 else f"{count} words"
    return Cleaned(text, (f"cut {words} of more than {limit} characters.",) if count else ())


def has_words(text: str) -> bool:
    """Whether there is a letter or a digit to say."""
    return any(sign.isalnum() for sign in text)


def quoted(pieces: Iterable[str]) -> str:
    """Up to `MAX_SHOWN` pieces of a text for a note, each of at most 40 characters."""
    return ", ".join(repr(piece if len(piece) <= 40 else f"{piece[:40]}…") for piece in list(pieces)[:MAX_SHOWN])
