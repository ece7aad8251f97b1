"""Runs one server: launches it, watches it, and removes everything that it leaves.

Two places mend what breaks: `serve` starts Triton again, and `reloads` loads a model again.
"""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial

import psutil

from bark_serving.engines.file_check import FileCheck, check_sizes
from bark_serving.host import memory
from bark_serving.host.processes import is_running
from bark_serving.server import binary, canary, gateway, log, log_follow, process, resources, state
from bark_serving.server.drain import drain
from bark_serving.server.errors import (
    RepositoryError,
    ResourcesMissing,
    ServerDied,
    ServerError,
    StartCrashed,
    StartFailed,
    Stopped,
)
from bark_serving.server.process import StopRequest
from bark_serving.server.reloads import MIN_PATIENCE_S, PATIENCE
from bark_serving.server.repository import read_rendered
from bark_serving.server.restarts import NO_RESTARTS, SHORT_RUN_S, Restarts, why_ended, why_not_run
from bark_serving.server.settings import ServerSettings
from bark_serving.server.watchdog import MAX_STOPPED_S, WATCH_INTERVAL_S, StartWatch, StoppedWatch, StubWatch

VERIFIED_FILE = "verified.sums"  #: in the folder of server state: which files were found whole
Report = Callable[[str], None]


def _silent(message: str) -> None:
    """Drop a report."""


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    settings: ServerSettings
    process: psutil.Process  #: tritonserver
    child: subprocess.Popen[bytes]  #: the same
    oom_kills: int | None  #: the kernel's count at its start
    shm_prefix: str
    control_key: str
    canary_seconds: float
    gateway_url: str = ""  #: empty if it has none

    @property
    def url(self) -> str:
        return f"{self.settings.host}:{self.settings.grpc_port}"

    @property
    def metrics_url(self) -> str:
        return self.settings.metrics_url

    def why_ended(self) -> str:
        """Why Triton ended, once it has: see `restarts.why_ended`."""
        return why_ended(
            self.child.wait(), pid=self.process.pid, log_path=self.settings.log_path, oom_kills=self.oom_kills
        )


@contextmanager
def running(settings: ServerSettings, *, report: Report = _silent, stop: StopRequest | None = None) -> Iterator[Server]:
    """Run a server while the block runs. The block begins when the canary is answered; nothing is left after it.

    Triton is not started again once it has answered; `serve` does that. `report` gets a text whenever the wait is for
    something else. `stop` ends the wait. Call it in the main thread only (see `process.launch`). Raises `ServerError`
    or `EngineError`; all checks that need no server are made before the start.
    """
    stop = stop or StopRequest()
    with _held(settings) as found, _triton(settings, found, report=report, stop=stop) as server:
        yield server


@contextmanager
def _held(settings: ServerSettings) -> Iterator[binary.Triton]:
    """Check everything that needs no server, and hold the server's name. Nothing is left after the block."""
    check_repository(settings)
    found = binary.find(settings)
    binary.check_interpreter(found)
    binary.check_backends(found, binary.backends_of(settings.repository))
    with state.exclusive(settings):
        state.clear(settings.folder, name=settings.name)
        process.check_ports(settings)
        try:
            yield found
        finally:
            state.clear(settings.folder, name=settings.name)


@contextmanager
def _triton(
    settings: ServerSettings,
    found: binary.Triton,
    *,
    report: Report,
    stop: StopRequest,
    started: float | None = None,
    restarts: Restarts = NO_RESTARTS,
    gateway_url: str = "",
) -> Iterator[Server]:
    """Run Triton while the block runs. Afterwards only the server's state file is left.

    If a signal ends it before it answers, it is started once more: on a busy machine it sometimes aborts, because it
    takes one of its models' processes for dead.
    """
    start = partial(
        _started_once,
        settings,
        found,
        report=report,
        stop=stop,
        started=started,
        restarts=restarts,
        gateway_url=gateway_url,
    )
    with ExitStack() as stack:
        try:
            server = stack.enter_context(start())
        except StartCrashed as error:
            _tell(settings, report)(f"{error.problem}\nStarting Triton once more")
            server = stack.enter_context(start())
        yield server


@contextmanager
def _started_once(
    settings: ServerSettings,
    found: binary.Triton,
    *,
    report: Report,
    stop: StopRequest,
    started: float | None,
    restarts: Restarts,
    gateway_url: str,
) -> Iterator[Server]:
    """`_triton`, without a second try."""
    files = _file_check(settings, report)
    log.rotate(settings.log_path)
    prefix, key = f"bark-{secrets.token_hex(4)}-", secrets.token_urlsafe(24)
    command = binary.command(
        found,
        settings,
        backends=binary.backends(found, folder=settings.folder / f"{settings.name}.backends"),
        shm_prefix=prefix,
        control_key=key,
    )
    report("Starting Triton")
    oom_kills = memory.oom_kills()
    environment = binary.environment(found, repository=settings.repository)
    child = process.launch(command, environment=environment, log=settings.log_path)
    triton = psutil.Process(child.pid)
    hangs = StartWatch(triton, report=_tell(settings, report))

    def ended() -> bool:
        hangs.look()
        return files.failed or child.poll() is not None

    try:
        description = state.describe(
            settings,
            triton.pid,
            shm_prefix=prefix,
            control_key=key,
            started=started,
            restarts=restarts,
            gateway_url=gateway_url,
        )
        state.note(description)
        files.start()  # after the launch: a process with threads should not fork
        try:
            seconds = canary.wait_until_answering(settings, oom_kills=oom_kills, ended=ended, stop=stop, report=report)
        except StartFailed as error:
            files.finish()  # a damaged file explains the failure
            if (child.poll() or 0) < 0 and not memory.killed_for_memory(oom_kills):
                raise StartCrashed(error.problem, remedy=error.remedy) from error
            raise
        files.finish()
        state.note(description.model_copy(update={"ready": True}))
        yield Server(settings, triton, child, oom_kills, prefix, key, seconds)
    finally:
        files.abandon()
        gone = not is_running(triton)
        if not gone:
            report("Stopping Triton")
        clean = process.stop(
            triton,
            timeout=settings.stop_timeout,
            drained=lambda: log.drained(settings.log_path),
            hurry=stop.is_urgent,
        )
        child.wait()
        if not gone:
            log.note(settings.log_path, "stopped" if clean else "stopped by force: inferences were still running")
        process.remove_shared_memory(prefix)


def _file_check(settings: ServerSettings, report: Report) -> FileCheck:
    """The check of the files that the models read. Raises `EngineBroken` if one has a wrong size."""
    rendered = read_rendered(settings.repository)
    files = rendered.files if rendered else ()
    if not files:
        report("The models' files are not checked: the repository was rendered without sums")
    check_sizes(files)
    resources.check_shared_memory(settings)
    if said := resources.too_little_memory(settings):
        report(said)
    return FileCheck(files, record=settings.folder / VERIFIED_FILE)


def check_repository(settings: ServerSettings) -> None:
    """Raise `RepositoryError` unless the repository has the model that the canary asks."""
    if canary.MODEL not in settings.models:
        raise RepositoryError(
            f"{settings.repository} holds no model {canary.MODEL!r} (no {canary.MODEL}/config.pbtxt).",
            remedy="Render a repository with `bark-serve render`.",
        )


def serve(
    settings: ServerSettings,
    *,
    stop: StopRequest,
    report: Report = _silent,
    ready: Callable[[Server], None],
    show: Callable[[str], None] | None = None,
) -> None:
    """Run a server until `stop`; start Triton again whenever it ends. The gateway beside it goes on meanwhile.

    Calls `ready` once it answers for the first time. show: gets the warnings and errors of its log, line by line.
    Raises as `running` if the first start failed, and `ServerDied` if too many others did.
    """
    tell = _tell(settings, report)
    restarts, started = NO_RESTARTS, time.time()
    with _held(settings) as found, ExitStack() as beside:
        front: gateway.Gateway | None = None
        url, up = "", False
        while not (up and stop.count):
            answered: float | None = None
            try:
                with _triton(
                    settings, found, report=report, stop=stop, started=started, restarts=restarts, gateway_url=url
                ) as server:
                    answered = time.monotonic()
                    if up:
                        tell(f"Triton speaks again (pid {server.process.pid})")
                    else:
                        front, url = beside.enter_context(gateway.beside(settings, report=report, hurry=stop.is_urgent))
                        if url and (noted := state.read(settings.folder, name=settings.name)):
                            state.note(noted.model_copy(update={"gateway_url": url}))
                        ready(replace(server, gateway_url=url))
                        up = True
                    watch(server, stop=stop, report=report, front=front, show=show)
                    if front is not None:
                        front.begin_stop()
                    drain(
                        settings,
                        triton=server.process,
                        control_key=server.control_key,
                        hurry=stop.is_urgent,
                        report=tell,
                    )
                    beside.close()  # the gateway ends first: its requests need the server
            except (ServerDied, StartFailed, ResourcesMissing, OSError) as error:
                if not up:
                    raise
                lived = 0.0 if answered is None else time.monotonic() - answered
                why = error.problem if isinstance(error, ServerError) else why_not_run(error)
                restarts = restarts.after(why, seconds=lived)
                if restarts.exhausted:
                    raise ServerDied(
                        f"Triton failed to start, or ended within {SHORT_RUN_S:.0f} s, {restarts.short_runs} times "
                        f"in a row. The last time: {why}",
                        remedy=f"The log of that run is {log.previous(settings.log_path)}.",
                    ) from error
                if last := state.read(settings.folder, name=settings.name):
                    state.note(last.model_copy(update={"ready": False, "restarts": restarts}))
                tell(f"{why}\nStarting Triton again in {restarts.delay_s:.0f} s")
                stop.wait(restarts.delay_s)
            except Stopped:  # while Triton was started again
                if not up:
                    raise


def watch(
    server: Server,
    *,
    stop: StopRequest,
    report: Report = _silent,
    front: gateway.Gateway | None = None,
    show: Callable[[str], None] | None = None,
) -> None:
    """Watch a server until `stop`, and reload models whose process died. Raises `ServerDied` if Triton ends.

    front: its gateway, which is started again if it ends. show: gets the warnings and errors of its log.
    """
    tell, logs = _tell(server.settings, report), log_follow.Logs(server.settings, show=show)
    stopped = StoppedWatch(limit_s=MAX_STOPPED_S)
    try:
        patience_s = max(MIN_PATIENCE_S, PATIENCE * server.canary_seconds)
        stubs = StubWatch(
            server.process, settings=server.settings, control_key=server.control_key, patience_s=patience_s
        )
        while not stop.wait(WATCH_INTERVAL_S):
            given_up = logs.look()
            if front is not None:
                front.look(report=tell)
            for hanging in stopped.hanging([server.process]):
                tell(f"Triton (pid {hanging.pid}) hangs; it is killed")
                process.kill([hanging])
            if not is_running(server.process):
                raise _died(server)
            stubs.look(given_up=given_up, report=tell)
    except psutil.NoSuchProcess as error:
        raise _died(server) from error
    finally:
        logs.look()


def _tell(settings: ServerSettings, report: Report) -> Report:
    """A report that is also in the log."""

    def tell(message: str) -> None:
        log.note(settings.log_path, message)
        report(message)

    return tell


def _died(server: Server) -> ServerDied:
    return ServerDied(server.why_ended(), remedy=f"The whole log is {server.settings.log_path}.")
