#!/usr/bin/env bash
# Package: ttconv 1.2.3
# Behaviour: a TTML body (or div) with a begin and no end ends, for ttconv, when its last caption would without the
#   begin. With begin="10s", the last ten seconds of captions are lost without an error, here all of them. With an end
#   that is late enough, all captions are there, ten seconds later.
# A good guess: times of captions count from the begin of what contains them, which lasts until its last caption is over.
# Seen 2026-11-30: of three captions, two with begin="2s", none with begin="10s", three with begin="10s" end="60s"
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check ttconv==1.2.3

"$work/env/bin/python" - << 'PYTHON'
from xml.etree import ElementTree

from ttconv.imsc import reader
from ttconv.srt import writer

TTML = """<tt xml:lang="en" xmlns="http://www.w3.org/ns/ttml"><body {}><div>
<p begin="1s" end="2s">One.</p><p begin="3s" end="4s">Two.</p><p begin="5s" end="6s">Three.</p>
</div></body></tt>"""
times = {}
for attributes in ("", 'begin="2s"', 'begin="10s"', 'begin="10s" end="60s"'):
    document = reader.to_model(ElementTree.ElementTree(ElementTree.fromstring(TTML.format(attributes))))
    times[attributes] = [line for line in writer.from_model(document).splitlines() if "-->" in line]
    print(f"<body {attributes}>", *times[attributes], sep="\n  ")
assert [len(lines) for lines in times.values()] == [3, 2, 0, 3]
assert times['begin="10s" end="60s"'][0] == "00:00:11,000 --> 00:00:12,000"
PYTHON
