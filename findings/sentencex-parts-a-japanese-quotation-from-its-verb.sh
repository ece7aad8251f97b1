#!/usr/bin/env bash
# Package: sentencex 1.0.32
# Behaviour: a Japanese quotation that holds a full stop ends a sentence, although the sentence goes on after the
#   closing bracket.
# A good guess: the text in brackets is kept together with the verb that follows it, as English quotations are.
# Seen 2026-11-28: ja ['「もう行きます。」', 'と彼は言った。'], en ['"I am going now." he said.']
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check sentencex==1.0.32

"$work/env/bin/python" - << 'PYTHON'
import sentencex

japanese = list(sentencex.segment("ja", "「もう行きます。」と彼は言った。"))
english = list(sentencex.segment("en", '"I am going now." he said.'))
print(japanese, english)
assert japanese == ["「もう行きます。」", "と彼は言った。"]
assert len(english) == 1
PYTHON
