#!/usr/bin/env bash
# Installs what Dockerfile.builder needs, in two steps. Each step is a layer of the image:
#
#   install-builder.sh libraries       the dependencies of bark-triton[build]
#   install-builder.sh package FOLDER  bark-triton, its client and its kernels, from the wheels in FOLDER
#
# TORCH_INDEX: the index that torch comes from. The default has the build for CPUs. PyPI's build adds gigabytes of CUDA.
set -euo pipefail

PYTHON=${PYTHON:-python3}
TORCH_INDEX=${TORCH_INDEX-https://download.pytorch.org/whl/cpu}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pip=("$PYTHON" -m pip --disable-pip-version-check)

case ${1:-} in
    libraries)
        "${pip[@]}" install --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} \
            "$(grep '^torch==' "$here/requirements-builder.txt")"
        "${pip[@]}" install --no-deps --requirement "$here/requirements-builder.txt"
        ;;
    package)
        "${pip[@]}" install --no-deps "$2"/bark_triton_client-*.whl "$2"/bark_kernels-*.whl "$2"/bark_triton-*.whl
        "${pip[@]}" check
        ;;
    *)
        echo "usage: install-builder.sh libraries | package FOLDER" >&2
        exit 2
        ;;
esac
