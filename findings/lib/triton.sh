# Sourced by the scripts that need Triton: a server and its models in a temporary folder, removed at exit.
#
#   install PACKAGE...          a virtual environment with tritonserver 2.51 (24.10, from the wheel nvidia-pytriton 0.7.0)
#   model NAME CONFIG < FILE    a Python model: the text of its config.pbtxt, and its model.py on standard input
#   serve                       starts the server on free ports of 127.0.0.1 and waits until its models are loaded
#
# Afterwards $python is the environment's Python, and HTTP, GRPC and METRICS are exported as 127.0.0.1:port.
# shellcheck shell=bash

work=$(mktemp -d)
python=$work/env/bin/python
server=""

cleanup() {
    if [ -n "$server" ]; then kill -KILL -- "-$server" 2> /dev/null || true; fi
    rm -rf "$work" "/dev/shm/$(basename "$work")"*
}
trap cleanup EXIT

install() {
    local pip=(python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check)
    python3 -m venv --without-pip "$work/env"
    "${pip[@]}" "$@"
    "${pip[@]}" --no-deps nvidia-pytriton==0.7.0 # the server alone: a model needs NumPy only
}

model() {
    mkdir -p "$work/models/$1/1"
    cat > "$work/models/$1/1/model.py"
    printf 'name: "%s"\nbackend: "python"\n%s\n' "$1" "$2" > "$work/models/$1/config.pbtxt"
}

serve() {
    local version libraries triton ports
    read -r version libraries triton ports < <("$python" - << 'PYTHON'
import socket
import sys
import sysconfig

sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
ports = ",".join(str(s.getsockname()[1]) for s in sockets)
version = f"{sys.version_info.major}.{sys.version_info.minor}"
print(version, sysconfig.get_config_var("LIBDIR"), sysconfig.get_path("purelib") + "/pytriton/tritonserver", ports)
PYTHON
    )
    mkdir -p "$work/backends/python"
    ln -s "$triton"/backends/python/{libtriton_python.so,triton_python_backend_utils.py} \
        "$triton/python_backend_stubs/$version/triton_python_backend_stub" "$work/backends/python"
    IFS=, read -r HTTP GRPC METRICS <<< "$ports"
    : > "$work/log"
    PATH=$work/env/bin:$PATH LD_LIBRARY_PATH=$libraries setsid "$triton/bin/tritonserver" \
        --model-repository="$work/models" --backend-directory="$work/backends" --disable-auto-complete-config \
        --http-address=127.0.0.1 --http-port="$HTTP" --grpc-address=127.0.0.1 --grpc-port="$GRPC" \
        --metrics-address=127.0.0.1 --metrics-port="$METRICS" --metrics-interval-ms=200 --allow-gpu-metrics=false \
        --pinned-memory-pool-byte-size=0 --backend-config=python,shm-region-prefix-name="$(basename "$work")" \
        > "$work/log" 2>&1 &
    server=$!
    disown "$server" # no message of the shell when it is ended
    until grep -q "Started Metrics Service" "$work/log"; do
        kill -0 "$server" 2> /dev/null || { cat "$work/log" >&2; return 1; }
        sleep 0.2
    done
    export HTTP=127.0.0.1:$HTTP GRPC=127.0.0.1:$GRPC METRICS=127.0.0.1:$METRICS
}
