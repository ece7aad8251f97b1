#!/usr/bin/env bash
# Installs what an image without a GPU needs, in two steps. Each step is a layer of the image:
#
#   install.sh libraries FILE   the packages of FILE, which names the exact version of every one; nothing comes from apt
#   install.sh package FOLDER   the wheels in FOLDER: bark-triton and its client, and the kernels where the image has them
#
# TORCH_INDEX: the index that torch comes from. The default has the build for CPUs. PyPI's build adds gigabytes of CUDA.
set -euo pipefail

PYTHON=${PYTHON:-python3}
TORCH_INDEX=${TORCH_INDEX-https://download.pytorch.org/whl/cpu}
pip=("$PYTHON" -m pip --disable-pip-version-check)

case ${1:-} in
    libraries)
        if torch=$(grep '^torch==' "$2"); then
            "${pip[@]}" install --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$torch"
        fi
        "${pip[@]}" install --no-deps --requirement "$2"
        ;;
    package)
        "${pip[@]}" install --no-deps "$2"/*.whl
        "${pip[@]}" check
        ;;
    *)
        echo "usage: install.sh libraries FILE | package FOLDER" >&2
        exit 2
        ;;
esac
