#!/usr/bin/env bash
# Package: opentelemetry-sdk and opentelemetry-exporter-otlp-proto-grpc 1.45.2
# Behaviour: a program that has traced one span and finds no collector exits only seconds later: the export at
#   shutdown retries with growing pauses. OTEL_EXPORTER_OTLP_TIMEOUT bounds it.
# A good guess: a refused connection on the same machine is an error at once, and tracing never holds up a program.
# Seen 2026-11-28: exit took 8.7 s; with OTEL_EXPORTER_OTLP_TIMEOUT=1 1.5 s
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-grpc==1.45.2

"$work/env/bin/python" - << 'PYTHON'
import os
import subprocess
import sys
import time

PROGRAM = """
import time

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint="http://127.0.0.1:9", insecure=True)))
with provider.get_tracer("test").start_as_current_span("span"):
    pass
print(time.time())
"""


def exit_s(**variables: str) -> float:
    """Seconds from the program's last line to its end."""
    environment = {**os.environ, **variables}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    return time.time() - float(done.stdout)


default, bounded = exit_s(), exit_s(OTEL_EXPORTER_OTLP_TIMEOUT="1")
print(f"exit took {default:.1f} s; with OTEL_EXPORTER_OTLP_TIMEOUT=1 {bounded:.1f} s")
assert default > 4
assert bounded < default / 2
PYTHON
