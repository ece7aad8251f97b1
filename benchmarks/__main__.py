"""``python -m benchmarks``."""

import sys

try:
    from benchmarks.cli import app
except ModuleNotFoundError as error:
    if (error.name or "").split(".")[0] in ("benchmarks", "bark_serving", "bark_client", "build_engines", "reference"):
        raise
    sys.exit(
        f"error: The Python module {error.name} is not installed.\nIn the checkout, run `pip install -e '.[bench]'`."
    )

app(prog_name="python -m benchmarks")
