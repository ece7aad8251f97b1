#!/usr/bin/env bash
# Package: transformers 4.57.1 (its slow BertTokenizer), tokenizers 0.22.1
# Behaviour: of a cased vocabulary, the slow tokenizer composes letters and accents before it looks words up; the fast
#   one does not. The same text has other ids.
# A good guess: slow and fast tokenizers of one model agree on every text.
# Seen 2026-11-28: slow ['café'], fast ['cafe', '##́']
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check transformers==4.57.1 tokenizers==0.22.1 numpy==2.3.5

"$work/env/bin/python" - << 'PYTHON'
import tempfile
from pathlib import Path

from transformers import BertTokenizer, BertTokenizerFast

folder = tempfile.TemporaryDirectory()
file = Path(folder.name) / "vocab.txt"
file.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ncafe\ncaf\u00e9\n##\u0301\n", encoding="utf-8")
decomposed = "cafe\u0301"  # e, then a combining acute accent
slow, fast = (
    cls(vocab_file=str(file), do_lower_case=False).tokenize(decomposed) for cls in (BertTokenizer, BertTokenizerFast)
)
print(slow, fast)
assert slow == ["caf\u00e9"]
assert fast == ["cafe", "##\u0301"]
PYTHON
