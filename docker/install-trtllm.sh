#!/usr/bin/env bash
# Installs what Dockerfile.trtllm needs, in two steps. Each step is a layer of the image:
#
#   install-trtllm.sh libraries       the environment $BUILDER, which builds engines
#   install-trtllm.sh package FOLDER  bark-triton from the wheels in FOLDER: in $BUILDER and, with its client, in the
#                                  container's Python
#
# The container's Python runs Triton's Python models and TensorRT-LLM. Its packages must keep their versions: they are
# constraints on what is added, and a package that needs another version fails the build. bark-build has its own
# environment, with the torch and onnx that exports are tested with. That environment also sees the container's TensorRT.
#
# gRPC is the exception. The Triton clients that fit the container's protobuf require grpcio 1.63, but only import with
# 1.67.1 or later. A later grpcio runs code that was generated for an earlier one.
#
# TORCH_INDEX: the index that the builder's torch comes from. BIN: the folder of bark-build.
set -euo pipefail

PYTHON=${PYTHON:-python3}
BUILDER=${BUILDER:-/opt/bark-build}
BIN=${BIN:-/usr/local/bin}
TORCH_INDEX=${TORCH_INDEX-https://download.pytorch.org/whl/cpu}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pip=("$PYTHON" -m pip --disable-pip-version-check)
export PIP_BREAK_SYSTEM_PACKAGES=1 # the container is the environment

constraints() { # prints the installed versions; for most other packages, those of the CPU image
    "$PYTHON" - "$here/requirements-cpu.txt" << 'PYTHON'
import re
import sys
from importlib.metadata import distributions

from pip._vendor.packaging.version import InvalidVersion, Version


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


installed = {normal(found.metadata["Name"]): found.version for found in distributions() if found.metadata["Name"]}
installed.pop("grpcio", None)
print("grpcio>=1.67.1")
for name, version in sorted(installed.items()):
    try:
        print(f"{name}=={Version(version)}")
    except InvalidVersion:  # a package of the Linux distribution; pip cannot name its version
        print(f"# {name} {version}")
free = {"tritonclient", "grpcio", "protobuf"}  # pip takes the newest client that fits the container's protobuf
with open(sys.argv[1], encoding="utf-8") as lock:
    for line in lock:
        line = line.removeprefix("# left out: ")  # of the CPU image only
        if "==" in line and normal(line.split("==")[0]) not in free.union(installed):
            print(line, end="")
PYTHON
}

case ${1:-} in
    libraries)
        "$PYTHON" -m venv --system-site-packages --without-pip "$BUILDER" # the container may have no ensurepip
        lock=$here/requirements-builder.txt # without a tritonserver: the container has its own
        "${pip[@]}" --python "$BUILDER" install --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} \
            "$(grep '^torch==' "$lock")"
        "${pip[@]}" --python "$BUILDER" install --no-deps --requirement "$lock"
        ;;
    package)
        fixed=$(mktemp)
        constraints > "$fixed"
        wheel=$(echo "$2"/bark_triton-*.whl)
        "${pip[@]}" install --constraint "$fixed" "$2"/bark_triton_client-*.whl "$wheel"
        "$PYTHON" -c 'import tritonclient.grpc' # it may not import with versions that its requirements allow
        "${pip[@]}" --python "$BUILDER" install --no-deps --ignore-installed "$wheel"
        ln -sf "$BUILDER/bin/bark-build" "$BIN/bark-build"
        rm "$fixed"
        ;;
    *)
        echo "usage: install-trtllm.sh libraries | package FOLDER" >&2
        exit 2
        ;;
esac
