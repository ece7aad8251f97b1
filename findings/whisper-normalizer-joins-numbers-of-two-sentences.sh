#!/usr/bin/env bash
# Package: whisper-normalizer 0.1.15
# Behaviour: the normalizer for English, used before word error rates, drops punctuation first and then joins numbers
#   that follow each other, across commas and ends of sentences too. Texts that say other things become equal, so a
#   wrong transcript counts as right.
# A good guess: punctuation parts numbers, so "One, two" stays two numbers.
# Seen 2026-11-30: "It was two. Three men came." becomes "it was 23 men came", "At one, two people left." "at 12 people
#   left", "One fifth of it." "15th of it", "It is one o'clock." "it is 10 clock"
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check whisper-normalizer==0.1.15

"$work/env/bin/python" - << 'PYTHON'
from whisper_normalizer.english import EnglishTextNormalizer

normalize = EnglishTextNormalizer()
for said, heard in (
    ("It was two. Three men came.", "It was 23 men came."),
    ("At one, two people left.", "At twelve people left."),
    ("One fifth of it.", "Fifteenth of it."),
    ("It is one o'clock.", "It is ten clock."),
):
    print(f"{said} | {heard} | {normalize(said)}")
    assert normalize(said) == normalize(heard)
PYTHON
