#!/usr/bin/env bash
# Package: grpcio 1.85.1
# Behaviour: a timeout in the service config of a channel ends calls one to two seconds too early. How much is missing is
#   the same for all calls of a process and another one in the next process. A timeout of less than a second ends each
#   call at once. The same timeout given with the call is exact.
# A good guess: "2s" is two seconds, wherever it is written.
# Seen 2026-11-30: four processes, calls that take 1.2 s: with "2s" in the service config DEADLINE_EXCEEDED after 0.40, 0.35,
#   0.47 and 0.41 s; with timeout=2 an answer after 1.20 s
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check grpcio==1.85.1

"$work/env/bin/python" - << 'PYTHON'
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import grpc

TIMEOUT, WORK = 2, 1.2  # seconds


def work(request: bytes, context: grpc.ServicerContext) -> bytes:
    time.sleep(WORK)
    return b"done"


CLIENT = """
import sys, time
import grpc

port, config, timeout = sys.argv[1:]
options = [("grpc.service_config", config)] if config else []
with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
    grpc.channel_ready_future(channel).result(30)
    started = time.monotonic()
    try:
        code = channel.unary_unary("/Test/Work")(b"", timeout=float(timeout) if timeout else None).decode()
    except grpc.RpcError as error:
        code = error.code().name
    print(code, time.monotonic() - started)
"""


def call(config: str = "", timeout: str = "") -> tuple[str, float]:
    """What a call in a process of its own ends with, and after how many seconds."""
    answer = subprocess.run([sys.executable, "-c", CLIENT, str(port), config, timeout], capture_output=True, check=True)
    code, seconds = answer.stdout.decode().split()
    return code, float(seconds)


handler = grpc.method_handlers_generic_handler("Test", {"Work": grpc.unary_unary_rpc_method_handler(work)})
server = grpc.server(ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((handler,))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
config = json.dumps({"methodConfig": [{"name": [{"service": "Test"}], "timeout": f"{TIMEOUT}s"}]})
early = [call(config) for _ in range(4)]
print("in the service config:", ", ".join(f"{code} after {seconds:.2f} s" for code, seconds in early))
code, seconds = call(timeout=str(TIMEOUT))
print(f"with the call: {code} after {seconds:.2f} s")
server.stop(0)
assert all(code == "DEADLINE_EXCEEDED" and seconds < TIMEOUT - 0.9 for code, seconds in early)
assert code == "done"
PYTHON
