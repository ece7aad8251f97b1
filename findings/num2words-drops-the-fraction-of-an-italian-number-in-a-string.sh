#!/usr/bin/env bash
# Package: num2words 0.5.14
# Behaviour: num2words("3.5", lang="it") is "tre": the fraction is lost without an error. The number 3.5 and strings
#   in other languages keep it.
# A good guess: a string is parsed the same way in every language.
# Seen 2026-11-28: en three point five | three point five, it tre virgola cinque | tre
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check num2words==0.5.14

"$work/env/bin/python" - << 'PYTHON'
from num2words import num2words

for language, number, string in (
    ("en", "three point five", "three point five"),
    ("it", "tre virgola cinque", "tre"),
):
    words = num2words(3.5, lang=language), num2words("3.5", lang=language)
    print(language, *words, sep=" | ")
    assert words == (number, string)
PYTHON
