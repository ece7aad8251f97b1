"""``python -m benchmarks``."""

import sys

try:
    from benchmarks.cli import app
except ModuleNotFoundError as error:
    if (error.name or "").split(".")[0] in ("benchmarks", "bark_serving", "bark_client", "build_engines", "reference"):
        raise
    remedy = "In the checkout, run `pip install -e ./client -e '.[bench]'`."
    sys.exit(f"error: The Python module {error.name} is not installed.\n{remedy}")

app(prog_name="python -m benchmarks")
