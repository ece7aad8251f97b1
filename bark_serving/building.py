"""Building what a server lacks, before it starts: `bark-build engines` as a process of its own.

The serving side does not import the building side, which needs torch and may not be installed at all.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bark_serving.profiles import TABLE, Precision, Profile
from bark_serving.server.errors import RepositoryError

_BUILDER = "build_engines"


def command(
    *, bundle: Path, engines: Path, profile: Profile, precision: Precision | None, architecture: str | None
) -> Sequence[str]:
    """The command line that builds every engine the profile needs; those that are there stay."""
    options = ["--profile", profile, "--bundle", str(bundle), "--engines", str(engines)]
    if precision:
        options += ["--precision", precision]
    if architecture:
        options += ["--gpu", architecture]
    return [sys.executable, "-c", f"from {_BUILDER}.cli import app; app(prog_name='bark-build')", "engines", *options]


def build_missing(
    *, bundle: Path, engines: Path, profile: Profile, precision: Precision | None, architecture: str | None = None
) -> None:
    """Run that command with its plan and progress on this terminal. Nothing to do for a profile without engines.

    Raises `RepositoryError` when the builder is not installed, or could not build everything.
    """
    if TABLE[profile].build is None:
        return
    if importlib.util.find_spec(_BUILDER) is None or importlib.util.find_spec("torch") is None:
        raise RepositoryError(
            "Nothing can be built here: bark-build is not installed.",
            remedy="Run `pip install 'bark-triton[build]'`, or build where it is and share the folder of engines.",
        )
    arguments = command(bundle=bundle, engines=engines, profile=profile, precision=precision, architecture=architecture)
    status = subprocess.run(arguments, check=False).returncode
    if status:
        raise RepositoryError(
            f"Not every engine could be built (status {status}).",
            remedy="What it said stands above. What was built is kept.",
        )
