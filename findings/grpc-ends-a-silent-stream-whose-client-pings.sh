#!/usr/bin/env bash
# Package: grpcio 1.85.1
# Behaviour: a server with default settings allows two pings without data within five minutes each; the third ends the
#   connection with "too_many_pings". A client that pings to keep a quiet stream alive so ends it: at one ping per
#   minute after about three minutes, here at one per ten seconds after half a minute.
# A good guess: keepalive keeps streams alive.
# Seen 2026-11-28: after 40 s: UNAVAILABLE: Too many pings
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check grpcio==1.85.1

"$work/env/bin/python" - << 'PYTHON'
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import grpc

over = Event()


def quiet(request: bytes, context: grpc.ServicerContext):
    """A stream that says nothing for a minute, then answers."""
    over.wait(60)
    yield b"done"


handler = grpc.method_handlers_generic_handler("Test", {"Quiet": grpc.unary_stream_rpc_method_handler(quiet)})
server = grpc.server(ThreadPoolExecutor(2))
server.add_generic_rpc_handlers((handler,))
port = server.add_insecure_port("127.0.0.1:0")
server.start()

PINGS = [("grpc.keepalive_time_ms", 10_000), ("grpc.http2.max_pings_without_data", 0)]
channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=PINGS)
started = time.monotonic()
try:
    list(channel.unary_stream("/Test/Quiet")(b""))
except grpc.RpcError as error:
    print(f"after {time.monotonic() - started:.0f} s: {error.code().name}: {error.details()}")
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "too_many_pings" in (error.details() or "").lower() or "too many pings" in (error.details() or "").lower()
else:
    raise SystemExit("the stream came to its end")
finally:
    over.set()
    server.stop(0)
PYTHON
