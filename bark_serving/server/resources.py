"""Whether there is room for a server: memory and shared memory, found and needed, in words."""

from __future__ import annotations

import os
from pathlib import Path

from bark_serving.host.memory import killed_for_memory, mebibytes, memory_limit
from bark_serving.server.errors import ResourcesMissing
from bark_serving.server.process import SHARED_MEMORY
from bark_serving.server.repository import read_rendered
from bark_serving.server.settings import ServerSettings, configs

MODEL_BYTES = 50 * 2**20  #: that the process of a Python model uses beside weights (measured: 560 MiB for 11 models)
MODEL_SHARED_BYTES = 2**20  #: that Triton allocates in /dev/shm for each Python model before it loads
_MORE_MEMORY = "Give it more (docker: `--memory`, compose: BARK_MEMORY=8g, Kubernetes: limits.memory)."
_MORE_SHARED_MEMORY = "Give it more (docker: `--shm-size 1g`, compose: `shm_size`, Kubernetes: a volume in memory)."


def needed_memory(settings: ServerSettings) -> int:
    """Bytes that a server needs, roughly: its models' processes, and the weights that they load."""
    rendered = read_rendered(settings.repository)
    weights = sum(file.size or 0 for file in rendered.files) if rendered else 0
    return MODEL_BYTES * _python_models(settings) + weights


def check_shared_memory(settings: ServerSettings, *, folder: Path = SHARED_MEMORY) -> None:
    """Raise `ResourcesMissing` if /dev/shm cannot be written, or has no room for the models' regions."""
    models = _python_models(settings)
    needed = MODEL_SHARED_BYTES * models
    if not os.access(folder, os.W_OK):
        raise ResourcesMissing(
            f"{folder} cannot be written by user {os.getuid()}, and Triton keeps the models' requests there.",
            remedy="Give the container one of its own (docker: `--shm-size 1g`, Kubernetes: a volume in memory).",
        )
    status = os.statvfs(folder)
    free, total = status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
    if free < needed:
        raise ResourcesMissing(
            f"{folder} has {mebibytes(free)} free of {mebibytes(total)}; {models} models need "
            f"{mebibytes(needed)} to start, and more for long texts.",
            remedy=_MORE_SHARED_MEMORY,
        )


def _python_models(settings: ServerSettings) -> int:
    """How many models have a process of their own."""
    return sum('backend: "python"' in path.read_text(encoding="utf-8") for path in configs(settings.repository))


def explain(settings: ServerSettings, *, kills_before: int | None) -> ResourcesMissing | None:
    """Why a server cannot run, if it is for want of memory or of shared memory.

    kills_before: `oom_kills` before its start.
    """
    if said := killed_for_memory(kills_before):
        return ResourcesMissing(
            f"{said} This server needs about {mebibytes(needed_memory(settings))}.", remedy=_MORE_MEMORY
        )
    try:
        check_shared_memory(settings)
    except ResourcesMissing as error:
        return error
    return None


def too_little_memory(settings: ServerSettings) -> str | None:
    """One sentence if the memory here is less than the server needs; else None."""
    limit, needed = memory_limit(), needed_memory(settings)
    if limit >= needed:
        return None
    return f"All processes here may use {mebibytes(limit)} of memory; this server needs about {mebibytes(needed)}"
