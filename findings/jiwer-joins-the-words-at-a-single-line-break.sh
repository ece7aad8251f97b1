#!/usr/bin/env bash
# Package: jiwer 4.0.0
# Behaviour: by default words part at spaces only. A line break, a tab or a no-break space makes one word of two, so a
#   perfect transcript has errors. Two of them one after the other, or one beside a space, part words, since a run of
#   white space becomes one space first.
# A good guess: words part at white space, as with str.split, and one line break does what two do.
# Seen 2026-11-30: word error rates against "hello world": 2.0 for one line break, tab or no-break space in place of the
#   space, 0.0 for two line breaks, CR LF and a space with a line break
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check jiwer==4.0.0

"$work/env/bin/python" - << 'PYTHON'
import jiwer

rates = {gap: jiwer.wer(f"hello{gap}world", "hello world") for gap in ("\n", "\t", "\u00a0", "\n\n", "\r\n", " \n")}
for gap, rate in rates.items():
    print(f"{'hello' + gap + 'world'!r} {rate}")
assert list(rates.values()) == [2.0, 2.0, 2.0, 0.0, 0.0, 0.0]
PYTHON
