"""The sentences that the teacher speaks: some are written by hand, the others are made from templates."""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

TEXTS = Path(__file__).parent / "texts"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SIGNS = ".,!?'-"
#: Punctuation that the sentences do not have, as a regular expression → what replaces it.
REPLACEMENTS = {"[’‘`]": "'", "[;:()–—…]": ",", '["“”«»*_]': ""}

_NUMBERS: Mapping[str, tuple[int, int]] = {"n": (0, 100), "n2": (2, 100), "hour": (1, 12), "year": (1900, 2030)}
_SLOT = re.compile(r"\{(\w+)\}")


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
