#!/usr/bin/env bash
# Package: sentencex 1.0.32
# Behaviour: a number at the start of a list item is a sentence of its own.
# A good guess: a number with a full stop belongs to the words that follow it, as an abbreviation does.
# Seen 2026-11-28: ['1. ', 'Open the box. ', '2. ', 'Press the button.']
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check sentencex==1.0.32

"$work/env/bin/python" - << 'PYTHON'
import sentencex

sentences = list(sentencex.segment("en", "1. Open the box. 2. Press the button."))
print(sentences)
assert sentences == ["1. ", "Open the box. ", "2. ", "Press the button."]
PYTHON
