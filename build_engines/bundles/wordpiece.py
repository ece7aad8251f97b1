"""A small WordPiece tokenizer of our own, for bundles of random weights.

It normalises as BERT's cased multilingual tokenizer does (control characters out, CJK characters apart, case and
accents kept) and knows the common characters of all of Bark's languages, so any ordinary text gives ids. What it
does not know becomes ``[UNK]``.
"""

from __future__ import annotations

import unicodedata

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

#: Letters, digits and signs written in rows of other characters: Latin, Greek, Cyrillic, Devanagari, kana, jamo.
_ALPHABETS = ((0x21, 0x17F), (0x218, 0x21B), (0x386, 0x3CE), (0x400, 0x45F), (0x900, 0x97F), (0x3041, 0x30FE))
_PUNCTUATION = "–—‘’“”„…€♪♫、。「」！？，：；（）"
#: The commonest characters of a language are the first rows of its national standard: encoding, first and last row.
_IDEOGRAPHS = (("gb2312", 0xB0, 0xD7), ("euc_jp", 0xB0, 0xCF))
_HANGUL = ("euc_kr", 0xB0, 0xC8)

#: A few hundred whole words and endings, so that ordinary words are more than letters.
_PIECES = """
the and to of a in is you that it he was for on are as with his they I at be this have from or one had by word
but not what all were we when your can said there use an each which she do how their if will up other about
out many then them these so some her would make like him into time has look two more write go see number no
way could people my than first water been call who its now find long down day did get come made may part hello
speech text bark music ##s ##ed ##ing ##er ##est ##ly ##ion ##tion ##ation ##ment ##ness ##able ##al ##en ##es
##re ##on ##an ##or ##ar ##le ##te ##th ##nt ##st ##nd ##ch ##sh ##ck ##ll ##ss ##ou ##ea ##oo ##ee ##ai ##ie
##ung ##eur ##que ##ção ##ción le la les des et est en un une que der die das und ist nicht ein eine el los
las de por con una il che di non per na się nie jest ve bir bu için и в не на что है में के का का の に は を 은 는
이 가
"""


def small_tokenizer() -> Tokenizer:
    """The tokenizer; always the same one."""
    vocabulary = {piece: index for index, piece in enumerate(_vocabulary())}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    return bert_cased(tokenizer)


def bert_cased(tokenizer: Tokenizer) -> Tokenizer:
    """Give a WordPiece model what surrounds it in BERT's cased tokenizers; no special tokens are added to a text."""
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=False
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return tokenizer


def _vocabulary() -> list[str]:
    letters = {chr(code) for first, last in _ALPHABETS for code in range(first, last + 1)} | set(_PUNCTUATION)
    letters = {letter for letter in letters if unicodedata.category(letter)[0] in "LMNPS"}
    ideographs = {character for rows in _IDEOGRAPHS for character in _rows(*rows)}
    hangul = _rows(*_HANGUL)
    # ideographs always stand alone (the normaliser sets them apart); letters and syllables also continue a word
    continuing = {f"##{character}" for character in letters | hangul if unicodedata.category(character)[0] in "LMN"}
    ordered = [*SPECIAL, *sorted(letters), *sorted(continuing), *sorted(hangul), *sorted(ideographs), *_PIECES.split()]
    return list(dict.fromkeys(ordered))


def _rows(encoding: str, first: int, last: int) -> set[str]:
    """Characters of the rows `first`..`last` of a two-byte national encoding."""
    codes = (bytes((row, column)) for row in range(first, last + 1) for column in range(0xA1, 0xFF))
    return set("".join(code.decode(encoding, "ignore") for code in codes))
