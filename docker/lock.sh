#!/usr/bin/env bash
# Writes requirements-cpu.txt, requirements-builder.txt and requirements-gateway.txt: the exact versions that the images
# install, chosen from what the two pyproject.toml allow today. Run it after a change of those, with the images' Python:
#
#   PYTHON=python3.11 docker/lock.sh
set -euo pipefail

PYTHON=${PYTHON:-python3.11}
TORCH_INDEX=${TORCH_INDEX-https://download.pytorch.org/whl/cpu}
docker=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

lock() { # lock EXTRA UNNEEDED FILE: leaves out pip and UNNEEDED, which a new environment has but no package needs
    "$PYTHON" -m venv "$work/$1"
    local pip=("$work/$1/bin/python" -m pip --disable-pip-version-check --quiet)
    if [ "$1" = build ]; then # from its own index: PyPI's build is for CUDA
        "${pip[@]}" install --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$(grep -om1 'torch==[0-9.]*' "$docker/../pyproject.toml")"
    fi
    "${pip[@]}" install "$docker/../client" "$docker/..[$1]"
    {
        echo "# Every version in this image. Written by docker/lock.sh; change pyproject.toml, not this."
        "${pip[@]}" freeze --exclude bark-triton --exclude bark-triton-client --all | grep -v "^\(pip\|${2}\)==" | sed 's/+cpu$//'
    } > "$docker/$3"
}

lock serve setuptools requirements-cpu.txt
lock gateway setuptools requirements-gateway.txt
lock build pip requirements-builder.txt # torch needs setuptools
