#!/usr/bin/env bash
# Package: phonemizer 3.4.0, espeakng-loader 0.2.4 (eSpeak NG 1.52.0)
# Behaviour: with preserve_punctuation, a text that has a decimal number and ends with a full stop is taken apart at the
#   point of the number. One text so becomes two, "3.14" is read as "three" and "fourteen", and in a list each text
#   behind it gets the phonemes of another text. Without a full stop at the end, the number is read right.
# A good guess: as many answers as texts, in their order, and the same phonemes with and without preserve_punctuation.
# Seen 2026-11-30: of "It is 3.14 here.", "Second text.", "Third text." four answers: ɪɾ ɪz θɹiː. | fɔːɹtiːn hɪɹ. |
#   sɛkənd tɛkst. | θɜːd tɛkst; without preserve_punctuation ɪɾ ɪz θɹiː pɔɪnt wʌn fɔːɹ hɪɹ and the other two
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check phonemizer==3.4.0 espeakng-loader==0.2.4

"$work/env/bin/python" - << 'PYTHON'
import espeakng_loader
from phonemizer.backend import EspeakBackend
from phonemizer.backend.espeak.wrapper import EspeakWrapper

EspeakWrapper.set_library(espeakng_loader.get_library_path())
EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
texts = ["It is 3.14 here.", "Second text.", "Third text."]
plain = EspeakBackend("en-us").phonemize(texts, strip=True)
kept = EspeakBackend("en-us", preserve_punctuation=True)
marked, bare = kept.phonemize(texts, strip=True), kept.phonemize(["It is 3.14 here"], strip=True)
print(plain, marked, bare, sep="\n")
assert len(plain) == 3
assert bare == plain[:1]
assert len(marked) == 4
assert [text.rstrip(".") for text in marked][2:] == plain[1:]
PYTHON
