"""Whether a process runs, and which processes are a server's Python models."""

from __future__ import annotations

from collections.abc import Sequence
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
        if model := _model_of(arguments):
            stubs[child] = model
    return stubs


def stubs_of(prefix: str) -> list[psutil.Process]:
    """The stubs, of whatever server, whose shared memory has this prefix. One may hang after its Triton was killed."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if (arguments := process.info["cmdline"] or [])
        and _model_of(arguments)
        and any(argument.startswith(prefix) for argument in arguments)
    ]


def _model_of(arguments: Sequence[str]) -> str | None:
    """The model of a stub with this command line; None if it is none."""
    models = (Path(model).parent.parent.name for program, model in pairwise(arguments) if Path(program).name == STUB)
    return next(models, None)
