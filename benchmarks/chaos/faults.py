"""The faults as data, their order by a seed, and how each is done to a process."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import psutil

from bark_serving.host.processes import TRITON
from benchmarks.errors import BenchmarkError

RIVALS = 16  #: programs that a starving process shares its core with
Kind = Literal["kill", "stop", "hang", "starve"]
KINDS: dict[Kind, str] = {
    "kill": "SIGKILL",
    "stop": "SIGSTOP, and SIGCONT some seconds later",
    "hang": "SIGSTOP for good",
    "starve": f"one core for some seconds, shared with {RIVALS} programs that never rest",
}
TARGETS = ("bark", "semantic", "coarse", "fine", "encodec_decode", TRITON)  #: processes that a speech needs
STOP_S, STARVE_S = (0.5, 5.0), (3.0, 6.0)  #: shortest and longest time of a fault that ends by itself
_SPIN = "import sys, time\nend = time.monotonic() + float(sys.argv[1])\nwhile time.monotonic() < end: pass"


@dataclass(frozen=True)
class Fault:
    """What is done to which process."""

    kind: Kind
    target: str  #: a model, or `TRITON`
    seconds: float | None = None  #: how long it lasts; None: for good

    @property
    def name(self) -> str:
        return f"{self.kind} {self.target}"


def chosen(names: Sequence[str] | None) -> list[tuple[Kind, str]]:
    """The kinds and targets that the names choose: ``kill`` or ``kill bark``. None: all.

    Raises `BenchmarkError` for a name that chooses none.
    """
    every = list(product(KINDS, TARGETS))
    found = [pair for pair in every if names is None or pair[0] in names or " ".join(pair) in names]
    known = {*KINDS, *map(" ".join, every)}
    for name in names or ():
        if name not in known:
            raise BenchmarkError(
                f"There is no fault {name!r}.",
                remedy=f"Name {', '.join(KINDS)}, or one with its process, as in 'kill bark'. "
                f"The processes are {', '.join(TARGETS)}.",
            )
    return found


def deck(pairs: Sequence[tuple[Kind, str]], *, seed: int) -> Iterator[Fault]:
    """Endless faults in a random order that the seed decides. Each pair comes once before any comes again."""
    rng = np.random.default_rng(seed)
    while True:
        for index in rng.permutation(len(pairs)):
            kind, target = pairs[index]
            low, high = STARVE_S if kind == "starve" else STOP_S
            seconds = round(float(rng.uniform(low, high)), 1)
            yield Fault(kind, target, seconds if kind in ("stop", "starve") else None)


def strike(fault: Fault, process: psutil.Process) -> Callable[[], None]:
    """Do it now. Returns what ends it, to be called after `Fault.seconds`; it does nothing if the process has gone."""
    if fault.kind == "kill":
        process.kill()
        return _nothing
    if fault.kind == "starve":
        return _starve(process, seconds=fault.seconds or 0.0)
    process.suspend()
    return lambda: _resume(process) if fault.kind == "stop" else None


def _nothing() -> None:
    """End a fault that has no end."""


def _resume(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.resume()


def _starve(process: psutil.Process, *, seconds: float) -> Callable[[], None]:
    """Keep a process on one core, together with programs that use it fully. They end by themselves."""
    before = os.sched_getaffinity(process.pid)
    core = {max(before)}
    rivals = [subprocess.Popen([sys.executable, "-S", "-c", _SPIN, str(seconds)]) for _ in range(RIVALS)]
    for rival in rivals:
        _pin(rival.pid, core)
    _pin(process.pid, core)

    def end() -> None:
        for rival in rivals:
            rival.kill()
            rival.wait()
        _pin(process.pid, before)

    return end


def _pin(pid: int, cores: set[int]) -> None:
    """Keep every thread of a process on these cores. Threads that end meanwhile, and a process that has, are passed."""
    with contextlib.suppress(FileNotFoundError):
        for thread in sorted(Path(f"/proc/{pid}/task").iterdir()):
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), cores)
