"""One run of Triton: its start, with what is checked before it, and its end, after which nothing is left."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from shlex import quote

import psutil

from bark_serving.engines.file_check import FileCheck, check_sizes
from bark_serving.host import memory
from bark_serving.host.processes import is_running
from bark_serving.server import binary, canary, log, process, resources, state
from bark_serving.server.errors import RepositoryError, StartCrashed, StartFailed
from bark_serving.server.process import StopRequest
from bark_serving.server.repository import read_rendered
from bark_serving.server.restarts import NO_RESTARTS, Restarts, why_ended
from bark_serving.server.settings import ServerSettings
from bark_serving.server.watchdog import StartWatch

VERIFIED_FILE = "verified.sums"  #: in the folder of server state: which files were found whole
Report = Callable[[str], None]


def silent(message: str) -> None:
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
def running(settings: ServerSettings, *, report: Report = silent, stop: StopRequest | None = None) -> Iterator[Server]:
    """Run a server while the block runs. The block begins when the canary is answered; nothing is left after it.

    Triton is not started again once it has answered; `serve` does that. `report` gets a text whenever the wait is for
    something else. `stop` ends the wait. Call it in the main thread only (see `process.launch`). Raises `ServerError`
    or `EngineError`; all checks that need no server are made before the start.
    """
    stop = stop or StopRequest()
    with held(settings) as found, run_triton(settings, found, report=report, stop=stop) as server:
        yield server


@contextmanager
def held(settings: ServerSettings) -> Iterator[binary.Triton]:
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
def run_triton(
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

    If a signal ends the first run before it answers, it is started once more: on a busy machine it sometimes aborts,
    because it takes one of its models' processes for dead. Later runs are counted by who starts them again.
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
            if restarts.count:
                raise
            tell_log(settings, report)(f"{error.problem}\nStarting Triton once more")
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
    """`run_triton`, without a second try."""
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
    hangs = StartWatch(triton, report=tell_log(settings, report))

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
            remedy=f"Render one with `bark-serve render --bundle BUNDLE -o {quote(str(settings.repository))}`.",
        )


def tell_log(settings: ServerSettings, report: Report) -> Report:
    """A report that is also in the log."""

    def tell(message: str) -> None:
        log.note(settings.log_path, message)
        report(message)

    return tell
