"""Watches the processes of a server: the one place that finds those that ended or hang.

Triton still calls a model ready after the model's process (its stub) died or was stopped.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

import psutil

from bark_serving.host.processes import is_running, is_stopped, running_stubs
from bark_serving.server.process import kill
from bark_serving.server.reloads import Reloads, reload_model
from bark_serving.server.settings import ServerSettings

#: A process that is stopped for so long is killed: Triton, and a model's. Triton itself gives up a model's process that
#: is silent for a second. If such a process then goes on, both can write into their shared memory at once.
MAX_STOPPED_S, MAX_STUB_STOPPED_S = 2.0, 0.5
#: What the log says about a model's process that is younger is about the one before it.
MIN_AGE_S = 2.0
WATCH_INTERVAL_S = 0.5  #: between two checks of a server's processes


class StoppedWatch:
    """Finds processes that someone stopped (``kill -STOP``) and did not let go on."""

    def __init__(self, *, limit_s: float) -> None:
        self._limit_s = limit_s
        self._since: dict[psutil.Process, float] = {}

    def hanging(self, processes: Iterable[psutil.Process]) -> list[psutil.Process]:
        """Those of `processes` that have been stopped for `limit_s`, each time that they were looked at."""
        now = time.monotonic()
        self._since = {one: self._since.get(one, now) for one in processes if is_stopped(one)}
        return [one for one, since in self._since.items() if now - since >= self._limit_s]


class StartWatch:
    """Ends a Triton that is stopped while it starts, or one of whose models' processes is."""

    def __init__(self, triton: psutil.Process, *, report: Callable[[str], None]) -> None:
        self._triton = triton
        self._report = report
        self._stopped = StoppedWatch(limit_s=MAX_STOPPED_S)
        self._due = 0.0

    def look(self) -> None:
        """Look, unless the last look was less than `WATCH_INTERVAL_S` ago. Waits only for what it kills."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + WATCH_INTERVAL_S
        try:
            hanging = self._stopped.hanging([self._triton, *running_stubs(self._triton)])
        except psutil.NoSuchProcess:  # it has ended: whoever waits for its start finds out
            return
        if hanging:
            self._report(f"Triton (pid {self._triton.pid}) hangs while it starts; it is killed")
            kill([self._triton])


class StubWatch:
    """Finds stubs that ended, ends those that hang, and has their models reloaded."""

    def __init__(
        self, triton: psutil.Process, *, settings: ServerSettings, control_key: str, patience_s: float
    ) -> None:
        self._triton = triton
        self._stubs = running_stubs(triton)
        self._expected = Counter(self._stubs.values())  # processes by model
        self._stopped = StoppedWatch(limit_s=MAX_STUB_STOPPED_S)
        self._reloads = Reloads(
            partial(reload_model, triton=triton, settings=settings, control_key=control_key, patience_s=patience_s)
        )

    def look(self, *, given_up: Iterable[str] = (), report: Callable[[str], None]) -> None:
        """Find what is wrong, and mend it. Reports every fault, every reload and every failure.

        given_up: models whose process Triton has given up, by its log. If it still runs, Triton is ended: a thread of
        Triton and the process can wait for each other for ever. Waits only for what it kills.
        """
        for model in self._reloads.go_on(report=report):
            others = {process: name for process, name in self._stubs.items() if name != model}
            own = {process: name for process, name in running_stubs(self._triton).items() if name == model}
            self._stubs = others | own
        for process in self._stopped.hanging(self._stubs):
            report(f"model {self._stubs[process]}: its process {process.pid} hangs; it is killed")
            kill([process])
        running = Counter(model for process, model in self._stubs.items() if is_running(process))
        for model in self._expected - running:
            if not self.reloading(model):
                died = [one.pid for one, name in self._stubs.items() if name == model and not is_running(one)]
                delay = self._reloads.ask(model)
                report(f"model {model}: its process {', '.join(map(str, died))} died; reloading it in {delay:.0f} s")
        for model in given_up:
            if not self.reloading(model) and self._is_old(model):
                report(f"model {model}: Triton has given up its process, which still runs; Triton is ended")
                kill([self._triton])

    def _is_old(self, model: str) -> bool:
        """Whether all processes of a model have run for `MIN_AGE_S`."""
        own = [process for process, name in self._stubs.items() if name == model]
        return bool(own) and all(is_running(one) and time.time() - one.create_time() > MIN_AGE_S for one in own)

    def reloading(self, model: str) -> bool:
        """Whether a model is being reloaded, or will be."""
        return self._reloads.under_way(model)
