"""The installed commands: their version, and what they say where a library is missing."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest


def run(function: str, *arguments: str, missing: str = "") -> subprocess.CompletedProcess[str]:
    """An installed command in a process of its own, where the library `missing` cannot be imported."""
    block = f"sys.modules[{missing!r}] = None; " if missing else ""
    module, name = ("bark_gateway.entry", "main") if function == "gateway" else ("bark_serving.cli.entry", function)
    code = f"import sys; {block}from {module} import {name}; {name}()"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("function", "program", "missing", "extra"),
    [
        ("serve", "bark-serve", "psutil", "serve"),
        ("serve", "bark-serve", "pydantic", "serve"),
        ("serve", "bark-serve", "typer", "serve"),
        ("build", "bark-build", "pydantic", "build"),
    ],
)
def test_a_missing_library_is_named_with_what_installs_it(
    function: str, program: str, missing: str, extra: str
) -> None:
    done = run(function, "--help", missing=missing)
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {program} needs {missing}, which is not installed.\n"
        f"Run `pip install -e '.[{extra}]'` in the checkout of bark-triton.\n"
    )


@pytest.mark.parametrize("missing", ["bark_client", "fastapi"])
def test_the_gateway_without_its_libraries_says_what_installs_them(missing: str) -> None:
    done = run("gateway", "--help", missing=missing)
    assert done.returncode == 1
    assert done.stderr == (
        f"error: bark-gateway needs {missing}, which is not installed.\n"
        "Run `pip install ./client -e '.[gateway]'` in the checkout of bark-triton.\n"
    )


def test_the_version_is_that_of_the_distribution() -> None:
    done = run("serve", "--version")
    assert done.returncode == 0 and done.stdout == f"bark-serve {version('bark-triton')}\n"
