#!/usr/bin/env bash
# Installs what Dockerfile.gateway needs, in two steps. Each step is a layer of the image:
#
#   install-gateway.sh libraries       the dependencies of bark-triton[gateway] and of the client: no Triton, no ONNX Runtime
#   install-gateway.sh package FOLDER  bark-triton and its client, from the wheels in FOLDER
set -euo pipefail

PYTHON=${PYTHON:-python3}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pip=("$PYTHON" -m pip --disable-pip-version-check)

case ${1:-} in
    libraries)
        "${pip[@]}" install --no-deps --requirement "$here/requirements-gateway.txt"
        ;;
    package)
        "${pip[@]}" install --no-deps "$2"/bark_triton_client-*.whl "$2"/bark_triton-*.whl
        "${pip[@]}" check
        ;;
    *)
        echo "usage: install-gateway.sh libraries | package FOLDER" >&2
        exit 2
        ;;
esac
