#!/usr/bin/env bash
# Package: pysubs2 1.8.1
# Behaviour: all that stands between two cues of a WebVTT file becomes text of the first one: a NOTE, which is a
#   comment, and the identifier of the next cue unless it is a number. Saved as SRT, viewers see them. The text keeps
#   its character references ("&amp;"), which mean nothing in SRT.
# A good guess: a reader of WebVTT skips comments and identifiers, and "&amp;" becomes "&".
# Seen 2026-11-30: "Hello." becomes "Hello.\NNOTE Ask again.\Nanswer" when the next cue is called "answer", and stays as
#   it is when that is called "2" and no NOTE is there; "It is &lt; 5 &amp; more."
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check pysubs2==1.8.1

"$work/env/bin/python" - << 'PYTHON'
from pysubs2 import SSAFile

WEBVTT = """WEBVTT

{}
00:01.000 --> 00:02.000
Hello.
{}
{}
00:03.000 --> 00:04.000
It is &lt; 5 &amp; more.
"""
numbered = SSAFile.from_string(WEBVTT.format("1", "", "2")).to_string("srt")
named = SSAFile.from_string(WEBVTT.format("question", "\nNOTE Ask again.\n", "answer")).to_string("srt")
print(numbered, named, sep="\n---\n")
assert numbered.splitlines()[2:4] == ["Hello.", ""]
assert named.splitlines()[2:6] == ["Hello.", "NOTE Ask again.", "answer", ""]
for captions in (numbered, named):
    assert "It is &lt; 5 &amp; more." in captions
PYTHON
