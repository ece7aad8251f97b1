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

lock() { # lock EXTRA FILE UNNEEDED LEFT_OUT: see below
    "$PYTHON" -m venv "$work/$1"
    local pip=("$work/$1/bin/python" -m pip --disable-pip-version-check --quiet)
    if [ "$1" = build ]; then # from its own index: PyPI's build is for CUDA
        "${pip[@]}" install --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$(grep -om1 'torch==[0-9.]*' "$docker/../pyproject.toml")"
    fi
    "${pip[@]}" install "$docker/../client" "$docker/..[$1]"
    "${pip[@]}" freeze --exclude bark-triton --exclude bark-triton-client --all \
        | grep -v "^\(pip\|${3}\)==" | sed 's/+cpu$//' > "$work/versions"
    {
        echo "# Every version in this image. Written by docker/lock.sh; change pyproject.toml, not this."
        sed -nE "s/^(${4// /|})==/# left out: &/p" "$work/versions"
        sed -E "/^(${4// /|})==/d" "$work/versions"
    } > "$docker/$2"
}

# UNNEEDED: a new environment has it, but no package needs it. LEFT_OUT: packages that others require and the image never
# imports. PyAV reads and writes sound files for clients and the gateway; tokenizers would download with huggingface_hub;
# pytriton's Python package, of which we use the tritonserver only, has a client for HTTP.
http="gevent geventhttpclient greenlet zope.event zope.interface aiohttp aiohappyeyeballs aiosignal frozenlist multidict propcache yarl brotli pyzmq"
lock serve requirements-cpu.txt setuptools "av hf-xet huggingface_hub $http"
lock gateway requirements-gateway.txt setuptools "hf-xet huggingface_hub"
lock build requirements-builder.txt pip "nvidia-pytriton av" # torch needs setuptools
