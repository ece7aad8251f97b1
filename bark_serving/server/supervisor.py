"""Runs one server: launches it, watches it, and removes everything that it leaves.

``python -m bark_serving.server.supervisor`` is what ``bark-serve up --detach`` starts in its own session.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import psutil

from bark_serving.engines.file_check import FileCheck, check_sizes
from bark_serving.errors import UserError
from bark_serving.host.processes import is_running
from bark_serving.server import binary, canary, gateway, log, log_follow, process, resources, state
from bark_serving.server.errors import RepositoryError, ServerDied, StartFailed
from bark_serving.server.process import StopRequest
from bark_serving.server.repository import read_rendered
from bark_serving.server.settings import ServerSettings
from bark_serving.server.watchdog import StubWatch

VERIFIED_FILE = "verified.sums"  #: in the folder of server state: which files were found whole
WATCH_INTERVAL_S = 1.0  #: between two checks of the server's processes
Report = Callable[[str], None]


def _silent(message: str) -> None:
    """Drop a report."""


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    settings: ServerSettings
    process: psutil.Process  #: tritonserver
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


@contextmanager
def running(settings: ServerSettings, *, report: Report = _silent, stop: StopRequest | None = None) -> Iterator[Server]:
    """Run a server while the block runs. The block begins when the canary is answered; nothing is left after it.

    `report` gets a text whenever the wait is for something else. `stop` ends the wait. Call it in the main thread only
    (see `process.launch`). Raises `ServerError` or `EngineError`; all checks that need no server are made before
    the start.
    """
    stop = stop or StopRequest()
    check_repository(settings)
    files = _file_check(settings, report)
    found = binary.find(settings)
    binary.check_interpreter(found)
    binary.check_backends(found, binary.backends_of(settings.repository))
    with state.exclusive(settings):
        state.clear(settings.folder, name=settings.name)
        process.check_ports(settings)
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
        environment = binary.environment(found, repository=settings.repository)
        child = process.launch(command, environment=environment, log=settings.log_path)
        server_process = psutil.Process(child.pid)
        try:
            description = _describe(settings, server_process, shm_prefix=prefix, control_key=key)
            state.write(description)
            files.start()  # after the launch: a process with threads should not fork
            try:
                seconds = canary.wait_until_answering(
                    settings, ended=lambda: files.failed or child.poll() is not None, stop=stop, report=report
                )
            except StartFailed:
                files.finish()  # a damaged file explains the failure
                raise
            files.finish()
            state.write(description.model_copy(update={"ready": True}))
            yield Server(settings, server_process, prefix, key, seconds)
        finally:
            files.abandon()
            report("Stopping Triton")
            clean = process.stop(
                server_process,
                timeout=settings.stop_timeout,
                drained=lambda: log.drained(settings.log_path),
                hurry=lambda: stop.count > 1,
            )
            child.wait()
            log.note(settings.log_path, "stopped" if clean else "stopped by force: inferences were still running")
            state.clear(settings.folder, name=settings.name)


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


def _describe(
    settings: ServerSettings, server: psutil.Process, *, shm_prefix: str, control_key: str
) -> state.ServerState:
    own = psutil.Process()
    return state.ServerState(
        settings=settings,
        pid=own.pid,
        born=process.birth(own.pid),
        triton_pid=server.pid,
        triton_born=process.birth(server.pid),
        started=time.time(),
        shm_prefix=shm_prefix,
        control_key=control_key,
    )


def serve(
    settings: ServerSettings,
    *,
    stop: StopRequest,
    report: Report = _silent,
    ready: Callable[[Server], None],
    show: Callable[[str], None] | None = None,
) -> None:
    """Run a server until `stop`. Calls `ready` once it answers. Raises as `running`, and `ServerDied`.

    show: gets the warnings and errors of its log, line by line.
    """
    with (
        running(settings, report=report, stop=stop) as server,
        gateway.beside(settings, report=report) as (front, url),
    ):
        ready(replace(server, gateway_url=url))
        watch(server, stop=stop, report=report, front=front, show=show)


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
    logs = _Logs(server.settings, show)

    def tell(message: str) -> None:
        log.note(server.settings.log_path, message)
        report(message)

    stubs = StubWatch(server.process, settings=server.settings, control_key=server.control_key)
    while not stop.wait(WATCH_INTERVAL_S):
        if not is_running(server.process):
            raise _died(server)
        logs.look()
        if front is not None:
            front.look(report=tell)
        try:
            stubs.look(report=tell)
        except psutil.NoSuchProcess as error:
            raise _died(server) from error


class _Logs:
    """The logs of a running server: shown if somebody wants to see them, and kept small."""

    def __init__(self, settings: ServerSettings, show: Callable[[str], None] | None) -> None:
        self._paths = (settings.log_path, settings.gateway_log_path)
        self._follower = log_follow.Follower(settings.log_path, show=show) if show else None

    def look(self) -> None:
        if self._follower:
            self._follower.look()
        for path in self._paths:
            log_follow.cut(path)


def _died(server: Server) -> ServerDied:
    lines = "\n".join(f"  {line}" for line in log.relevant_lines(server.settings.log_path))
    return ServerDied(
        f"Triton (pid {server.process.pid}) ended by itself.\n{lines}",
        remedy=f"The whole log is {server.settings.log_path}. Start it again with `bark-serve up`.",
    )


def main(arguments: list[str] | None = None) -> int:
    """Supervise a detached server. Reports the start to the parent process, as JSON lines on a pipe."""
    parser = argparse.ArgumentParser(prog="python -m bark_serving.server.supervisor", description=main.__doc__)
    parser.add_argument("settings", type=ServerSettings.model_validate_json, help="server settings as JSON")
    parser.add_argument("--report-descriptor", type=int, required=True, help="write end of a pipe")
    options = parser.parse_args(arguments)
    settings: ServerSettings = options.settings
    stop = StopRequest()
    stop.listen(signal.SIGTERM, signal.SIGINT)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    pipe = os.fdopen(options.report_descriptor, "w", buffering=1, encoding="utf-8")

    def tell(**event: object) -> None:
        try:
            print(json.dumps(event), file=pipe, flush=True)
        except (BrokenPipeError, ValueError):  # the parent has closed it, or we have
            return

    def ready(server: Server) -> None:
        tell(ready=server.canary_seconds, gateway=server.gateway_url)
        pipe.close()

    try:
        serve(settings, stop=stop, report=lambda message: tell(waiting=message), ready=ready)
    except OSError as error:
        tell(error=str(error), remedy=f"Make sure that {settings.folder} can be written and that the disk has room.")
        return 1
    except UserError as error:
        if settings.log_path.exists():
            log.note(settings.log_path, str(error))
        tell(error=error.problem, remedy=error.remedy)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
