"""Where the installed commands begin. It imports only the standard library, so that it can name a missing one."""

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
    """Run the command line of a module. A library that it lacks is named with what installs it, without a traceback."""
    try:
        importlib.import_module(module).app(prog_name=program)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in _OURS:
            raise
        sys.exit(f"error: {program} needs {error.name}, which is not installed.\n{install_remedy(extra)}")
