#!/usr/bin/env bash
# Builds wheels of this checkout, which the images install: build-wheel.sh FOLDER SOURCE...
# A SOURCE is client, kernels, or . for the server and the gateway. The tools, with zig half a gigabyte, do not stay.
set -euo pipefail

PYTHON=${PYTHON:-python3}
wheels=$(realpath -m "$1")
shift
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

tools=(packaging==26.3 pathspec==1.1.1)
for source in "$@"; do
    case $source in
        kernels) tools+=(scikit-build-core==1.1.2 cmake==4.4.5 ninja==1.13.2 ziglang==0.17.1) ;; # the images have no compiler
        *) tools+=(hatchling==1.33.0 pluggy==1.7.0 trove-classifiers==2026.9.21.13) ;;
    esac
done
pip=("$PYTHON" -m pip --disable-pip-version-check)
"${pip[@]}" install --no-deps --no-compile --target "$work/tools" "${tools[@]}"
export PYTHONPATH=$work/tools PATH=$work/tools/bin:$PATH ZIG_GLOBAL_CACHE_DIR=$work/cache
"${pip[@]}" wheel --no-deps --no-build-isolation --wheel-dir "$wheels" "${@/#/./}"
