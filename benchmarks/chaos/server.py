"""A server that `bark-serve` runs in a process of its own, and everything that it starts and leaves."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bark_serving.bundle import Bundle
from bark_serving.engines.store import EngineStore
from bark_serving.host.processes import TRITON, is_running, running_stubs
from bark_serving.server import ServerSettings, state
from bark_serving.server.process import SHARED_MEMORY, kill, launch, wait_for
from bark_serving.server.settings import STATE_FOLDER_VARIABLE
from benchmarks.errors import BenchmarkError
from benchmarks.servers import memory_of, own_settings
from benchmarks.variants import Variant

_NAME = "chaos"
_BLOCK_BYTES = 512  # of `st_blocks`, see stat(2)
_POLL_S = 0.1  # another process's start and end have no event
_STOP_GRACE_S = 20.0  #: beyond the server's own deadline
_COMMAND = "from bark_serving.cli.main import app; app()"


@dataclass
class ServedByCommand:
    """`bark-serve up` in a process of its own. Below it run tritonserver and the stubs, one per model."""

    settings: ServerSettings
    seen: set[psutil.Process] = field(default_factory=set)  #: every process that `look` found
    prefixes: set[str] = field(default_factory=set)  #: of the shared memory of each tritonserver that `look` found
    _child: subprocess.Popen[bytes] | None = None
    _own: psutil.Process | None = None  #: the same process

    @property
    def url(self) -> str:
        return f"{self.settings.host}:{self.settings.grpc_port}"

    def start(self) -> None:
        """Start it and wait until it speaks. Call it in the main thread. Raises `BenchmarkError`."""
        output = self.settings.folder / "command.log"
        output.parent.mkdir(parents=True, exist_ok=True)
        child = launch(
            [
                *(sys.executable, "-c", _COMMAND, "up", "--name", self.settings.name),
                *("--repository", str(self.settings.repository)),
                *(part for option, port in self.settings.ports.items() for part in (f"--{option}", str(port))),
            ],
            environment={**os.environ, STATE_FOLDER_VARIABLE: str(self.settings.folder)},
            log=output,
        )
        self._child, self._own = child, psutil.Process(child.pid)
        while (found := self._state()) is None or not found.ready:
            if child.poll() is not None:
                said = output.read_text(encoding="utf-8", errors="replace").strip()
                raise BenchmarkError(f"bark-serve ended before the server was up:\n{said}")
            time.sleep(_POLL_S)
        self.look()

    def stop(self) -> None:
        """Stop it as Ctrl-C does; by force after its deadline."""
        if self._own is None or self._child is None:
            return
        self.look()
        if is_running(self._own):
            self._own.terminate()
        if not wait_for([self._own], timeout=self.settings.stop_timeout + _STOP_GRACE_S):
            kill([self._own])
        self._child.wait()
        self._child = self._own = None

    def look(self) -> dict[psutil.Process, str]:
        """The processes that run now, by what they are: `bark-serve`, `TRITON`, or the model of a stub."""
        if self._own is None or not is_running(self._own):
            return {}
        found = {self._own: "bark-serve"}
        try:
            for process in self._own.children():
                if process.name() == TRITON and is_running(process):
                    found |= {process: TRITON, **running_stubs(process)}
        except psutil.NoSuchProcess:
            pass  # it is ending: what was found before it counts
        self.seen |= found.keys()
        if known := self._state():
            self.prefixes.add(known.shm_prefix)
        return found

    def process(self, target: str) -> psutil.Process | None:
        """The running process of a model, or tritonserver. None if there is none."""
        return next((process for process, name in self.look().items() if name == target), None)

    def memory(self) -> dict[str, int]:
        """Bytes by process, as `memory_of` counts them."""
        return memory_of(self.look())

    def shared_memory(self) -> int:
        """Bytes of its regions of shared memory."""
        total = 0
        for path in self.regions():
            with contextlib.suppress(FileNotFoundError):
                total += _BLOCK_BYTES * path.stat().st_blocks
        return total

    def processes_left(self) -> list[psutil.Process]:
        """Processes of the server that still run. There are none once it has stopped."""
        return [process for process in self.seen if is_running(process)]

    def regions(self) -> list[Path]:
        """Its regions of shared memory, those of its dead processes too."""
        return [path for prefix in tuple(self.prefixes) for path in SHARED_MEMORY.glob(f"{prefix}*")]

    def _state(self) -> state.ServerState | None:
        found = state.read(self.settings.folder, name=self.settings.name)
        return found if found and self._own is not None and found.pid == self._own.pid else None


@contextmanager
def served(bundle: Bundle, variant: Variant, *, store: EngineStore, threads: int | None) -> Iterator[ServedByCommand]:
    """Start a server of a variant with `bark-serve`, on free ports. It is stopped at the end of the block."""
    with own_settings(_NAME, bundle, variant, store=store, threads=threads) as settings:
        server = ServedByCommand(settings)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            kill(server.processes_left())


class Watch:
    """Reads the memory of a server at intervals during a ``with`` block, and remembers its processes."""

    def __init__(self, server: ServedByCommand, *, interval_s: float, clock: Callable[[], float]) -> None:
        self.memory: list[tuple[float, dict[str, int]]] = []  #: time, and bytes by process
        self.shared: list[tuple[float, int]] = []  #: time, and bytes of shared memory, that of dead processes too
        self._server, self._interval_s, self._clock = server, interval_s, clock
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(self._interval_s):
            if memory := self._server.memory():
                self.memory.append((self._clock(), memory))
            self.shared.append((self._clock(), self._server.shared_memory()))
