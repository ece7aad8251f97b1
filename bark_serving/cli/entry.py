"""The entry points of the installed commands.

This module imports only the standard library, so that it can say which library is missing.
"""

from __future__ import annotations

import importlib
import sys

from bark_serving.errors import install_remedy

_OURS = ("bark_serving", "build_engines")


def serve() -> None:
    """``bark-serve``."""
    _run("bark_serving.cli.main", program="bark-serve", extra="serve")


def build() -> None:
    """``bark-build``."""
    _run("build_engines.cli", program="bark-build", extra="build")


def _run(module: str, *, program: str, extra: str) -> None:
    """Run the command line of a module. If a library is missing, say which one and what installs it."""
    try:
        importlib.import_module(module).app(prog_name=program)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in _OURS:
            raise
        sys.exit(f"error: {program} needs {error.name}, which is not installed.\n{install_remedy(extra)}")
