"""The sentences that the teacher speaks: some are written by hand, the others are made from templates."""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from bark_serving.errors import install_remedy
from build_engines.errors import BuildError

TEXTS = Path(__file__).parent / "texts"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SIGNS = ".,!?'-"
#: Punctuation that the sentences do not have, as a regular expression → what replaces it.
REPLACEMENTS = {"[’‘`]": "'", "[;:()–—…]": ",", '["“”«»*_]': ""}

_NUMBERS: Mapping[str, tuple[int, int]] = {"n": (0, 100), "n2": (2, 100), "hour": (1, 12), "year": (1900, 2030)}
_SLOT = re.compile(r"\{(\w+)\}")
WORD_FILE = "frequency_dictionary_en_82_765.txt"  #: of symspellpy
LONG_WORD_SHARE, SHORT_WORD_SHARE = 0.5, 0.1  #: of the words of four letters and more, and of shorter ones
_WORD = re.compile(r"[A-Za-z']+")
_LISTED = re.compile(r"[a-z]{2,12}")


def sentences(*, drawn: int, seed: int) -> list[str]:
    """All sentences, each once, in an order that depends on `seed`. `drawn`: how many to make from templates."""
    random = np.random.default_rng([seed, 0])
    written = [line for path in sorted(TEXTS.glob("*.txt")) for line in path.read_text().splitlines() if line]
    grammar = tomllib.loads((TEXTS / "templates.toml").read_text())
    templates, slots = grammar["templates"], grammar["slots"]
    unique = dict.fromkeys(written)
    count = len(unique) + drawn
    while len(unique) < count:
        unique[fill_template(str(random.choice(templates)), slots, random)] = None
    return [str(sentence) for sentence in random.permutation(list(unique))]


def fill_template(template: str, slots: Mapping[str, list[str]], random: np.random.Generator) -> str:
    """A template with each ``{slot}`` replaced by a random one of its entries, or by a random number."""

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        if name in _NUMBERS:
            low, high = _NUMBERS[name]
            return str(random.integers(low, high + 1))
        return str(random.choice(slots[name]))

    sentence = _SLOT.sub(fill, template)
    return sentence[0].upper() + sentence[1:]


def varied(texts: Sequence[str], *, count: int, longest: int, seed: int) -> list[str]:
    """`count` of the texts with other words in them, none of them longer than `longest` characters.

    They make little sense. They teach how words sound that the texts do not have. Half of the words of four letters and
    more are replaced, and few shorter ones. A word is drawn with the square root of its frequency.
    """
    random = np.random.default_rng([seed, 2])
    words, frequencies = _frequent_words()
    limits = np.cumsum(np.sqrt(frequencies))

    def another(found: re.Match[str]) -> str:
        word = found[0]
        if random.random() >= (LONG_WORD_SHARE if len(word) > 3 else SHORT_WORD_SHARE):
            return word
        drawn = words[int(np.searchsorted(limits, random.random() * limits[-1]))]
        return drawn.capitalize() if word[0].isupper() else drawn

    made: list[str] = []
    while len(made) < count:
        text = _WORD.sub(another, texts[int(random.integers(len(texts)))])
        if len(text) <= longest:
            made.append(text)
    return made


def _frequent_words() -> tuple[list[str], list[int]]:
    """English words of 2 to 12 letters, and how often each one was counted. Raises `BuildError` without the extra."""
    try:
        import symspellpy
    except ImportError as error:
        raise BuildError(f"{error.name} is not installed.", remedy=install_remedy("train")) from error
    lines = (Path(symspellpy.__file__).parent / WORD_FILE).read_text("utf-8-sig").splitlines()
    counted = [line.split() for line in lines]
    known = [(word, int(count)) for word, count in counted if _LISTED.fullmatch(word)]
    return [word for word, _ in known], [count for _, count in known]


def letter_tokenizer() -> Tokenizer:
    """A WordPiece tokenizer of single letters, digits and punctuation. It ignores case.

    It has so few tokens that a small network sees each of them thousands of times. A token is about one sound.
    """
    letters = string.ascii_lowercase + string.digits
    pieces = [*SPECIAL, *SIGNS, *letters, *(f"##{letter}" for letter in letters)]
    model = models.WordPiece(
        {piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]", max_input_chars_per_word=100
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Replace(Regex(signs), plain) for signs, plain in REPLACEMENTS.items()]
        + [normalizers.BertNormalizer(strip_accents=True, lowercase=True)]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return tokenizer
