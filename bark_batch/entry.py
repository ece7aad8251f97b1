"""The entry point of `bark-batch`.

This module imports only the standard library, so that it can say which library is missing.
"""

from __future__ import annotations

import importlib
import os
import sys


def main() -> None:
    """`bark-batch`. If a library is missing, say which one and what installs it."""
    # Ray forks, and gRPC would print a line each time. No process that Ray forks goes on with a connection of ours.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    try:
        importlib.import_module("bark_batch.cli").app(prog_name="bark-batch")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "bark_batch":
            raise
        sys.exit(
            f"error: bark-batch needs {error.name}, which is not installed.\n"
            "Run `pip install ./client -e '.[batch]'` in the checkout of bark-triton."
        )
