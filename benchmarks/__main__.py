"""``python -m benchmarks``."""

import sys

from benchmarks.errors import INSTALL_BENCH

try:
    from benchmarks.cli import app
except ModuleNotFoundError as error:
    if (error.name or "").split(".")[0] in ("benchmarks", "bark_serving", "bark_client", "build_engines", "reference"):
        raise
    sys.exit(f"error: The Python module {error.name} is not installed.\n{INSTALL_BENCH}")

app(prog_name="python -m benchmarks")
