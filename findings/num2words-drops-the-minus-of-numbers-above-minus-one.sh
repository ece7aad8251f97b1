#!/usr/bin/env bash
# Package: num2words 0.5.14
# Behaviour: numbers between -1 and 0 lose their sign without an error in 47 of its 56 languages, English, German,
#   French, Spanish and Japanese among them. -1.5 keeps it, and so does -0.25 as an amount of money. Italian, Arabic and
#   Hungarian keep it always.
# A good guess: a number and its negative never have the same words.
# Seen 2026-11-30: -0.5 is "zero point five", "null Komma fünf", "zéro virgule cinq"; -1.5 "minus one point five"; -0.25
#   euros "minus zero euro, twenty-five cents"; it "meno zero virgola cinque"
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check num2words==0.5.14

"$work/env/bin/python" - << 'PYTHON'
from num2words import CONVERTER_CLASSES, num2words

same = []
for language in CONVERTER_CLASSES:
    try:
        positive, negative = (num2words(number, lang=language) for number in (0.5, -0.5))
    except Exception as error:
        print(language, type(error).__name__)
        continue
    if positive == negative:
        same.append(language)
print(f"-0.5 has the words of 0.5 in {len(same)} of {len(CONVERTER_CLASSES)} languages: {' '.join(same)}")
for language in ("en", "de", "fr", "es", "ja", "it"):
    print(language, *(num2words(number, lang=language) for number in (-0.5, -1.5)), sep=" | ")
money = num2words(-0.25, to="currency", currency="EUR")
print(money)
assert {"en", "de", "fr", "es", "ja"} <= set(same)
assert not {"it", "ar", "hu"} & set(same)
assert num2words(-0.5) == "zero point five"
assert num2words(-1.5) == "minus one point five"
assert money.startswith("minus ")
PYTHON
