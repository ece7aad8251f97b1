#!/usr/bin/env bash
# Package: pycaption 2.3.14, ttconv 1.2.3
# Behaviour: in SCC captions (CEA-608), a character of the extended sets replaces the one before it, so a writer sends a
#   spare one first. SCCWriter sends none: each ü, ö, ä, ß, ã, typographic apostrophe, brace and the like deletes the
#   letter or the space before it, without an error. pycaption itself reads the broken text, and so does ttconv.
#   Characters that SCC does not have, such as the dash and the euro sign, become pound signs.
# A good guess: text that a caption format can hold comes back as it was, and other characters are errors or become "?".
# Seen 2026-11-30: "Müller" becomes "üller", "São Paulo" "ão Paulo", "It’s late" "I’s late", "5 € a–b" "5 £ a£b"; "Café"
#   and "señor" stay, since é and ñ are in the basic set
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check \
  pycaption==2.3.14 ttconv==1.2.3

"$work/env/bin/python" - << 'PYTHON'
from pycaption import SCCReader, SCCWriter, SRTReader, SRTWriter
from ttconv.scc import reader
from ttconv.srt import writer

captions = "1\n00:00:02,000 --> 00:00:04,000\n{}\n\n2\n00:00:05,000 --> 00:00:06,000\nEnd.\n"
for text, expected in (
    ("Müller", "üller"),
    ("São Paulo", "ão Paulo"),
    ("It’s late", "I’s late"),
    ("5 € a–b", "5 £ a£b"),
    ("Café", "Café"),
    ("señor", "señor"),
):
    scc = SCCWriter().write(SRTReader().read(captions.format(text)))
    own = SRTWriter().write(SCCReader().read(scc)).splitlines()[2]
    other = writer.from_model(reader.to_model(scc)).splitlines()[2]
    print(text, own, other, sep=" | ")
    assert own == expected
    assert other.replace("'", "’") == expected
PYTHON
