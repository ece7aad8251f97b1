#!/usr/bin/env bash
# Installs what an image without a GPU needs:
#
#   install.sh libraries FILE         the packages of FILE, which names the exact version of every one; nothing comes from apt
#   install.sh package FOLDER PREFIX  the wheels in FOLDER, below PREFIX, which an image copies: so it holds no wheels
#   install.sh check FILE             whether every package has what it requires
#
# FILE also names the packages that are left out: others require them, but the image never imports them. Tests, headers and
# what other versions of Python need are removed.
# TORCH_INDEX: the index that torch comes from. The default has the build for CPUs. PyPI's build adds gigabytes of CUDA.
set -euo pipefail

PYTHON=${PYTHON:-python3}
TORCH_INDEX=${TORCH_INDEX-https://download.pytorch.org/whl/cpu}
pip=("$PYTHON" -m pip --disable-pip-version-check)

prune() {
    local found
    found=$("$PYTHON" -c 'import sys, sysconfig; print(sysconfig.get_path("purelib"), "%d.%d" % sys.version_info[:2])')
    local site=${found% *} version=${found#* } stubs=pytriton/tritonserver/python_backend_stubs
    cd "$site"
    find numpy -type d -name tests -prune -exec rm -r {} +
    if [ -d "$stubs/$version" ]; then
        find "$stubs" -mindepth 1 -maxdepth 1 ! -name "$version" -exec rm -r {} +
        rm nvidia_pytriton.libs/libpython3-* # of the stub of Python 3.13; the other stubs take libpython from the system
    fi
    if [ -d torch ]; then
        rm -rf torch/test torch/include
        find torch/bin -type f ! -name torch_shm_manager -delete
    fi
}

case ${1:-} in
    libraries)
        if torch=$(grep '^torch==' "$2"); then
            "${pip[@]}" install --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$torch"
        fi
        "${pip[@]}" install --no-deps --requirement "$2"
        prune
        ;;
    package)
        "${pip[@]}" install --no-deps --prefix "$3" "$2"/*.whl
        ;;
    check)
        left_out=$(sed -n 's/^# left out: \(.*\)==.*/\1/p' "$2" | sed 's/[-_.]/[-_.]/g' | paste -sd '|') # pip writes - for _
        problems=$("${pip[@]}" check) || true
        if grep -vE "requires (${left_out:-nothing}), which is not installed|No broken requirements" <<< "$problems" >&2; then
            exit 1
        fi
        ;;
    *)
        echo "usage: install.sh libraries FILE | package FOLDER PREFIX | check FILE" >&2
        exit 2
        ;;
esac
