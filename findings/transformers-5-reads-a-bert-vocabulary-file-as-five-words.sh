#!/usr/bin/env bash
# Package: transformers 5.23.0, tokenizers 0.23.3
# Behaviour: BertTokenizerFast(vocab_file=...) ignores the file without a warning and has a vocabulary of its five
#   special tokens. The argument is now called vocab.
# A good guess: the argument of all releases up to 4 still works, or raises a TypeError.
# Seen 2026-11-28: vocab_file= : 5 tokens, 'hello world' is [UNK] [UNK]; vocab= : 7 tokens, hello world
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check transformers==5.23.0 tokenizers==0.23.3 numpy==2.3.5

"$work/env/bin/python" - << 'PYTHON'
import tempfile
from pathlib import Path

from transformers import BertTokenizerFast

folder = tempfile.TemporaryDirectory()
file = Path(folder.name) / "vocab.txt"
file.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nworld\n")
for argument, size, tokens in (("vocab_file", 5, ["[UNK]", "[UNK]"]), ("vocab", 7, ["hello", "world"])):
    tokenizer = BertTokenizerFast(**{argument: str(file)})
    print(f"{argument}=", tokenizer.vocab_size, tokenizer.tokenize("hello world"))
    assert (tokenizer.vocab_size, tokenizer.tokenize("hello world")) == (size, tokens)
PYTHON
