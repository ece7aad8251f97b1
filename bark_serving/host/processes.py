"""Whether a process runs, and which processes are a server's Python models."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import psutil

TRITON = "tritonserver"  #: the name of a server's process
STUB = "triton_python_backend_stub"  #: of a Python model's


def is_running(process: psutil.Process) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def is_stopped(process: psutil.Process) -> bool:
    """Whether a process exists and was stopped (``kill -STOP``)."""
    try:
        return bool(process.status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False


def running_stubs(triton: psutil.Process) -> dict[psutil.Process, str]:
    """The model of every stub that runs, by process. A stub's first argument is ``<repository>/<model>/1/model.py``."""
    stubs: dict[psutil.Process, str] = {}
    for child in triton.children(recursive=True):
        try:
            arguments = child.cmdline() if is_running(child) else []
        except psutil.NoSuchProcess:  # also a zombie
            continue
        for program, model in pairwise(arguments):
            if Path(program).name == STUB:
                stubs[child] = Path(model).parent.parent.name
    return stubs
