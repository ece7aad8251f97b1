"""The entry point of `bark-gateway`.

This module imports only the standard library, so that it can say which library is missing.
"""

from __future__ import annotations

import importlib
import sys


def main() -> None:
    """`bark-gateway`. If a library is missing, say which one and what installs it."""
    try:
        importlib.import_module("bark_gateway.cli").app(prog_name="bark-gateway")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "bark_gateway":
            raise
        sys.exit(
            f"error: bark-gateway needs {error.name}, which is not installed.\n"
            "Run `pip install ./client -e '.[gateway]'` in the checkout of bark-triton."
        )
