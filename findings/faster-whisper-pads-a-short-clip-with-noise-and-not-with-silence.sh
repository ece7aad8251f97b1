#!/usr/bin/env bash
# Package: faster-whisper 1.2.1, numpy 2.3.5
# Behaviour: Whisper hears 30 s at once. `pad_or_trim` of faster-whisper fills a shorter clip's spectrogram with 0.0, as
#   `transcribe` does too. That is no silence but noise: on the scale of Whisper's spectrograms, silence is as low as the
#   clip's lowest value. OpenAI's Whisper adds silent samples before it computes the spectrogram.
# A good guess: a clip is heard alike, whether the caller appends silence up to 30 s or faster-whisper pads it.
# Seen 2026-12-01: after a tone of 1 s, whose loudest value is 1.44, the rest is -0.56 where the caller appends silence, and
#   0.00 where faster-whisper pads
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check \
    faster-whisper==1.2.1 numpy==2.3.5

"$work/env/bin/python" - << 'PYTHON'
import numpy as np
from faster_whisper.audio import pad_or_trim
from faster_whisper.feature_extractor import FeatureExtractor

extract = FeatureExtractor()
tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000).astype(np.float32)
by_the_caller = extract(np.pad(tone, (0, 29 * 16_000)))[:, :3_000]
by_the_library = pad_or_trim(extract(tone))
print(by_the_caller.shape, by_the_library.shape)
for name, spectrogram in (("silence appended", by_the_caller), ("padded", by_the_library)):
    rest = spectrogram[:, 200:]
    print(f"{name}: the tone's loudest {spectrogram.max():.2f}, the rest from {rest.min():.2f} to {rest.max():.2f}")
assert by_the_caller.shape == by_the_library.shape == (80, 3_000)
assert np.all(by_the_library[:, 200:] == 0)
assert np.allclose(by_the_caller[:, 200:], by_the_caller.max() - 2, atol=1e-3)
PYTHON
