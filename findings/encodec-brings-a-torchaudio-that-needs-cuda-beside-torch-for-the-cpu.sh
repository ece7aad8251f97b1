#!/usr/bin/env bash
# Package: encodec 0.1.1, torch 2.13.0 (the build for the CPU), torchaudio 2.11.1 (the newest on PyPI)
# Behaviour: beside torch for the CPU, pip installs PyPI's torchaudio for encodec, which is built for CUDA. Then
#   `import encodec` raises an OSError, although encodec needs torchaudio for training only.
# A good guess: pip's resolver finds a torchaudio that fits the torch that is installed, or refuses.
# Seen 2026-11-28: OSError: Could not load this library: _torchaudio.so (libc10_cuda.so: cannot open shared object file)
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
pip=(python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check)
"${pip[@]}" torch==2.13.0+cpu numpy==2.3.5 2> /dev/null \
    || "${pip[@]}" --extra-index-url https://download.pytorch.org/whl/cpu torch==2.13.0+cpu numpy==2.3.5
"${pip[@]}" encodec==0.1.1 torchaudio==2.11.1

"$work/env/bin/python" - << 'PYTHON'
from importlib.metadata import version

print("torch", version("torch"), "torchaudio", version("torchaudio"))
try:
    import encodec
except OSError as error:
    print("import encodec:", type(error).__name__, str(error).split("/")[0], str(error).rsplit("/", 1)[-1], error.__cause__)
else:
    raise SystemExit("encodec was imported")
PYTHON
