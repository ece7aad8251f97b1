#!/usr/bin/env bash
# Installs what Dockerfile.cpu needs, in two steps. Each step is a layer of the image:
#
#   install-cpu.sh libraries       the dependencies of bark-triton[serve]; a wheel contains tritonserver, nothing comes from apt
#   install-cpu.sh package FOLDER  bark-triton, its client and its kernels, from the wheels in FOLDER
set -euo pipefail

PYTHON=${PYTHON:-python3}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pip=("$PYTHON" -m pip --disable-pip-version-check)

case ${1:-} in
    libraries)
        "${pip[@]}" install --no-deps --requirement "$here/requirements-cpu.txt"
        ;;
    package)
        "${pip[@]}" install --no-deps "$2"/bark_triton_client-*.whl "$2"/bark_kernels-*.whl "$2"/bark_triton-*.whl
        "${pip[@]}" check
        ;;
    *)
        echo "usage: install-cpu.sh libraries | package FOLDER" >&2
        exit 2
        ;;
esac
