#!/usr/bin/env bash
# Package: onnxruntime 1.32.0 (PyPI, Linux)
# Behaviour: importing onnxruntime writes a device id and a database under ~/.cache/Microsoft. ORT_DISABLE_TELEMETRY=1
#   prevents it.
# A good guess: a library of the Linux CPU wheel writes nothing on import; telemetry exists on Windows only.
# Seen 2026-11-28: ~/.cache/Microsoft/DeveloperTools/.onnxruntime/deviceid and onnxruntime.db; nothing with the
#   variable set
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check onnxruntime==1.32.0

"$work/env/bin/python" - << 'PYTHON'
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def files_left(**variables: str) -> list[str]:
    with tempfile.TemporaryDirectory() as home:
        environment = {"HOME": home, "PATH": os.environ["PATH"], **variables}
        subprocess.run([sys.executable, "-c", "import onnxruntime"], env=environment, check=True)
        return sorted(str(path.relative_to(home)) for path in Path(home).rglob("*") if path.is_file())


left = files_left()
print(left, files_left(ORT_DISABLE_TELEMETRY="1"))
assert any(path.endswith("deviceid") for path in left)
assert files_left(ORT_DISABLE_TELEMETRY="1") == []
PYTHON
