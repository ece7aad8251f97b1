#!/usr/bin/env bash
# Package: tokenizers 0.23.3
# Behaviour: BERT's WordPiece gives one [UNK] for a word of more than 100 characters. Japanese kana have no blanks
#   between them, so a long run of kana is such a word; ideographs are split one by one and are not.
# A good guess: text of known characters loses nothing, whatever its length; kana and ideographs are treated alike.
# Seen 2026-11-28: か: 100 characters 100 tokens, 101 characters 1 token; 中: 101 characters 101 tokens
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check tokenizers==0.23.3

"$work/env/bin/python" - << 'PYTHON'
import tempfile
from pathlib import Path

from tokenizers import BertWordPieceTokenizer

folder = tempfile.TemporaryDirectory()
file = Path(folder.name) / "vocab.txt"
file.write_text("[UNK]\n[CLS]\n[SEP]\nか\n##か\n中\n", encoding="utf-8")
tokenizer = BertWordPieceTokenizer(str(file), lowercase=False)
for character, length, count in (("か", 100, 100), ("か", 101, 1), ("中", 101, 101)):
    tokens = tokenizer.encode(character * length, add_special_tokens=False).tokens
    print(character, length, "characters,", len(tokens), "tokens, the first", tokens[0])
    assert len(tokens) == count
PYTHON
