#!/usr/bin/env bash
# Package: word2number 1.1
# Behaviour: words of numbers that follow each other are added up or multiplied, whatever they mean together. Years,
#   telephone numbers and codes that are said digit by digit become another number. All that is not a word of a number
#   is dropped. None of it is an error.
# A good guess: text that is not one number is an error, or at least not a number that nobody said.
# Seen 2026-11-30: "nineteen ninety nine" 1719, "twenty twenty" 40, "one two three" 5, "nine one one" 10, "fifty five
#   hundred" 350, "three fifty" 53, "two dozen" 2, "half a million" 1000000; "two hundred and five" 205
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check word2number==1.1

"$work/env/bin/python" - << 'PYTHON'
from word2number import w2n

for words, expected in (
    ("nineteen ninety nine", 1719),
    ("twenty twenty", 40),
    ("one two three", 5),
    ("nine one one", 10),
    ("fifty five hundred", 350),
    ("three fifty", 53),
    ("two dozen", 2),
    ("half a million", 1_000_000),
    ("two hundred and five", 205),
):
    print(words, w2n.word_to_num(words), sep=" | ")
    assert w2n.word_to_num(words) == expected
PYTHON
