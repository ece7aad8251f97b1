#!/usr/bin/env bash
# Builds wheels of this checkout, which the images install: build-wheel.sh FOLDER SOURCE...
# A SOURCE is client, kernels, or . for the server and the gateway.
set -euo pipefail

PYTHON=${PYTHON:-python3}
wheels=$(realpath -m "$1")
shift
cd "$(dirname "${BASH_SOURCE[0]}")/.."

"$PYTHON" -m pip install --disable-pip-version-check --no-deps \
    scikit-build-core==1.1.2 cmake==4.4.5 ninja==1.13.2 ziglang==0.17.1 \
    hatchling==1.33.0 packaging==26.3 pathspec==1.1.1 pluggy==1.7.0 trove-classifiers==2026.9.21.13
"$PYTHON" -m pip wheel --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir "$wheels" \
    "${@/#/./}"
