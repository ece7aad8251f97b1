#!/usr/bin/env bash
# Package: whisper-normalizer 0.1.15
# Behaviour: the normalizer for English, which is there to make "five" and "5" equal before word error rates, takes the
#   minus and the leading zeros of numbers in digits away and keeps those of numbers in words. A perfect transcript so
#   has errors, and a wrong one has none: "-5" and "5" are equal, and so are "10 000", "10 0" and "10 00".
# A good guess: a number becomes the same text, in digits or in words, and numbers that differ stay different.
# Seen 2026-11-30: "It was -5 degrees" becomes "it was 5 degrees", "minus five" "-5"; "007" "7", "zero zero seven"
#   "007"; "10 000 people" "10 0 people", "ten thousand people" "10000 people"; "Call 555 0100" "call 555 100"
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check whisper-normalizer==0.1.15

"$work/env/bin/python" - << 'PYTHON'
from whisper_normalizer.english import EnglishTextNormalizer

normalize = EnglishTextNormalizer()
for digits, words, other in (
    ("It was -5 degrees", "It was minus five degrees", "It was 5 degrees"),
    ("Agent 007", "Agent zero zero seven", "Agent 7"),
    ("10 000 people", "ten thousand people", "10 0 people"),
    ("Call 555 0100", "Call five five five oh one hundred", "Call 555 100"),
):
    print(*(f"{text} > {normalize(text)}" for text in (digits, words, other)), sep=" | ")
    assert normalize(digits) == normalize(other) != normalize(words)
PYTHON
