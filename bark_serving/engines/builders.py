"""The command `bark-build`: whether it can build engines here, and what to say if it cannot."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from bark_serving.errors import install_remedy

_BUILDER = "build_engines"
EXPORTERS = ("torch", "onnx", "onnxscript", "onnxruntime")  #: libraries that it imports


def program() -> Sequence[str] | None:
    """The command that builds: of this interpreter, or of another one on PATH, as in the image for GPUs.

    None if neither has what building needs.
    """
    if all(importlib.util.find_spec(module) for module in (_BUILDER, *EXPORTERS)):
        return [sys.executable, "-c", f"from {_BUILDER}.cli import app; app(prog_name='bark-build')"]
    found = shutil.which("bark-build")
    # this interpreter's own bark-build exists even if the exporters are missing
    if found and Path(found).resolve().parent != Path(sysconfig.get_path("scripts")).resolve():
        return [found]
    return None


def how_to_build(command: str, *, first: str = "", otherwise: str = "") -> str:
    """What builds engines: `command`, or where it can be run if not here.

    first: a command that must run here before. otherwise: what also helps here.
    """
    if program() is not None:
        return f"Run `{' && '.join(filter(None, (first, command)))}`{otherwise}."
    before = f"Run `{first}`. " if first else ""
    return (
        f"{before}Engines cannot be built here: bark-build is not installed, or lacks what it needs. "
        f"{install_remedy('build')} Or run `{command}` on a machine that has it, and copy the folder of engines here. "
        "In containers, `docker compose run --rm builder-cpu` (or builder-gpu) builds them."
    )
