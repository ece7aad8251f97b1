"""Building what a server lacks, before it starts: `bark-build engines` as a process of its own.

The serving side does not import the building side, which needs torch and may not be installed at all.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from bark_serving.profiles import TABLE, Precision, Profile
from bark_serving.server.errors import RepositoryError

_BUILDER = "build_engines"
_EXPORTERS = ("torch", "onnx", "onnxscript", "onnxruntime")  #: what it imports


def arguments(
    *, bundle: Path, engines: Path, profile: Profile, precision: Precision | None, architecture: str | None
) -> Sequence[str]:
    """Of `bark-build`, to build every engine the profile needs; those that are there stay."""
    options = ["--profile", profile, "--bundle", str(bundle), "--engines", str(engines)]
    if precision:
        options += ["--precision", precision]
    if architecture:
        options += ["--gpu", architecture]
    return ["engines", *options]


def program() -> Sequence[str]:
    """`bark-build` by this interpreter, or by one of its own, as in the image for GPUs. Raises `RepositoryError`."""
    if all(importlib.util.find_spec(module) for module in (_BUILDER, *_EXPORTERS)):
        return [sys.executable, "-c", f"from {_BUILDER}.cli import app; app(prog_name='bark-build')"]
    found = shutil.which("bark-build")
    # this interpreter's own is there without the exporters, too
    if found and Path(found).resolve().parent != Path(sysconfig.get_path("scripts")).resolve():
        return [found]
    raise RepositoryError(
        "Nothing can be built here: bark-build is not installed, or lacks what it needs.",
        remedy="Run `pip install 'bark-triton[build]'`, or build where it is and share the folder of engines.",
    )


def build_missing(
    *, bundle: Path, engines: Path, profile: Profile, precision: Precision | None, architecture: str | None = None
) -> None:
    """Run that command with its plan and progress on this terminal. Nothing to do for a profile without engines.

    Raises `RepositoryError` when the builder is not installed, or could not build everything.
    """
    if TABLE[profile].build is None:
        return
    line = arguments(bundle=bundle, engines=engines, profile=profile, precision=precision, architecture=architecture)
    status = subprocess.run([*program(), *line], check=False).returncode
    if status:
        raise RepositoryError(
            f"Not every engine could be built (status {status}).",
            remedy="What it said stands above. What was built is kept.",
        )
