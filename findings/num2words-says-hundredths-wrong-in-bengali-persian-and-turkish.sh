#!/usr/bin/env bash
# Package: num2words 0.5.14
# Behaviour: fractions that differ get the same words, without an error. In Bengali each hundredth is said as the tenth
#   of the same digit, in Persian 5 hundredths are "half", and in Turkish some numbers are a hundredth too small.
# A good guess: prices and measures with two decimals have words of their own in every language that num2words speaks.
# Seen 2026-11-30: of 1000 numbers from 0.00 to 9.99, 90 in bn, 10 in fa and 56 in tr have the words of another one; bn
#   2.05 = 2.5, fa 2.05 = 2.5 (do o nim, two and a half), tr 0.29 = 0.28; none in en, de, fr, es, it and ja
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check num2words==0.5.14

"$work/env/bin/python" - << 'PYTHON'
from num2words import num2words

numbers = [hundredths / 100 for hundredths in range(1000)]
repeats = {}
for language in ("bn", "fa", "tr", "en", "de", "fr", "es", "it", "ja"):
    words = [num2words(number, lang=language) for number in numbers]
    repeats[language] = len(words) - len(set(words))
    print(language, f"{repeats[language]} of {len(words)} repeat the words of another number")
for language, one, other in (("bn", 2.05, 2.5), ("fa", 2.05, 2.5), ("tr", 0.28, 0.29)):
    words = num2words(one, lang=language), num2words(other, lang=language)
    print(language, one, other, *words, sep=" | ")
    assert words[0] == words[1]
assert min(repeats[language] for language in ("bn", "fa", "tr")) >= 10
assert not any(repeats[language] for language in ("en", "de", "fr", "es", "it", "ja"))
PYTHON
