#!/usr/bin/env bash
# Package: wyoming 1.10.2
# Behaviour: an event to synthesize speech carries the name of a voice or its language, never both: beside a name the
#   language is left out when the event is written, and again when it is read.
# A good guess: fields of a request that are set are sent.
# Seen 2026-11-28: sent {'name': 'joe'}; read from both: name='joe', language=None
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check wyoming==1.10.2

"$work/env/bin/python" -W ignore - << 'PYTHON'
from wyoming.event import Event
from wyoming.tts import Synthesize, SynthesizeVoice

both = {"name": "joe", "language": "de"}
sent = Synthesize("Hallo.", voice=SynthesizeVoice(**both)).event().data["voice"]
read = Synthesize.from_event(Event("synthesize", {"text": "Hallo.", "voice": both})).voice
print(f"sent {sent}; read from both: name={read.name!r}, language={read.language!r}")
assert sent == {"name": "joe"}
assert (read.name, read.language) == ("joe", None)
PYTHON
