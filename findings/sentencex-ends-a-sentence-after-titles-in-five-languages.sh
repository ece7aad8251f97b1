#!/usr/bin/env bash
# Package: sentencex 1.0.32
# Behaviour: it knows English, German, Spanish and Italian titles, but ends a sentence after common abbreviations of
#   French, Hindi, Polish, Turkish and Russian.
# A good guess: a splitter with rules per language knows the title "Dr." in each of them.
# Seen 2026-11-28: fr "J'ai vu le Dr. " | 'Martin hier.', and likewise for hi डॉ., pl godz., tr Sn., ru т. е.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check sentencex==1.0.32

"$work/env/bin/python" - << 'PYTHON'
import sentencex

WHOLE = {
    "en": "Dr. Smith met Mr. Jones.",
    "de": "Dr. Müller und Prof. Weber.",
    "es": "El Sr. García y la Dra. López.",
    "it": "Il Dott. Rossi è qui.",
}
SPLIT = {
    "fr": "J'ai vu le Dr. Martin hier.",
    "hi": "कल डॉ. शर्मा आए।",
    "pl": "Spotkanie jest o godz. 10 rano.",
    "tr": "Sn. Yılmaz bugün geldi.",
    "ru": "Он пришёл, т. е. вернулся.",
}
for expected, texts in ((1, WHOLE), (2, SPLIT)):
    for language, text in texts.items():
        sentences = list(sentencex.segment(language, text))
        print(language, sentences)
        assert len(sentences) == expected
PYTHON
