"""The state of each server in ``<folder>/<name>.json``, and a lock that its supervisor holds."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from bark_serving import files
from bark_serving.host.processes import stubs_of
from bark_serving.server import log, process
from bark_serving.server.errors import AlreadyRunning
from bark_serving.server.restarts import NO_RESTARTS, Restarts
from bark_serving.server.settings import ServerSettings


class ServerState(BaseModel):
    """One server as its supervisor describes it. Times are seconds since the epoch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: ServerSettings
    pid: int  #: the supervisor
    born: str  #: `process.birth`
    triton_pid: int
    triton_born: str
    started: float  #: the first time; a restart of Triton does not change it
    restarts: Restarts = Restarts()  #: of Triton
    ready: bool = False
    shm_prefix: str
    gateway_url: str = ""  #: where its gateway listens; empty if it has none
    control_key: str  #: for Triton's model control API; only the owner may read the file

    @property
    def running(self) -> bool:
        """Whether the supervisor runs. Triton cannot run without it."""
        return process.find(self.pid, born=self.born) is not None

    @property
    def uptime(self) -> float:
        return time.time() - self.started


def path(folder: Path, *, name: str) -> Path:
    return folder / f"{name}.json"


def write(state: ServerState) -> None:
    """Replace the state file. Readers see the old one or the new one. Its mode is 0600: it holds the control key."""
    target = path(state.settings.folder, name=state.settings.name)
    temporary = target.with_suffix(".json.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(state.model_dump_json(indent=2))
    temporary.replace(target)


def describe(
    settings: ServerSettings,
    triton_pid: int,
    *,
    shm_prefix: str,
    control_key: str,
    started: float | None = None,
    restarts: Restarts = NO_RESTARTS,
    gateway_url: str = "",
) -> ServerState:
    """The state of a server that this process supervises. started: None means now. Raises `psutil.NoSuchProcess`."""
    return ServerState(
        settings=settings,
        pid=os.getpid(),
        born=process.birth(os.getpid()),
        triton_pid=triton_pid,
        triton_born=process.birth(triton_pid),
        started=time.time() if started is None else started,
        restarts=restarts,
        gateway_url=gateway_url,
        shm_prefix=shm_prefix,
        control_key=control_key,
    )


def note(state: ServerState) -> None:
    """Write the state file. A server that was started again goes on without: a full disk should not end it."""
    try:
        write(state)
    except OSError:
        if not state.restarts.count:
            raise
        log.note(state.settings.log_path, "the state file can't be written: `bark-serve status` shows the last run")


def read(folder: Path, *, name: str) -> ServerState | None:
    """The state in the file, whether its server still runs or not. None if there is none or of another version."""
    try:
        return ServerState.model_validate_json(path(folder, name=name).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def running_servers(folder: Path) -> list[ServerState]:
    """All servers that run, by name."""
    names = sorted(file.stem for file in folder.glob("*.json"))
    return [state for name in names if (state := read(folder, name=name)) is not None and state.running]


def clear(folder: Path, *, name: str) -> None:
    """Remove what a server leaves: its state file, and if its supervisor was killed, processes and shared memory."""
    state = read(folder, name=name)
    if state is not None:
        triton = process.find(state.triton_pid, born=state.triton_born)
        if triton is not None:
            process.stop(triton, timeout=0)
        process.kill(stubs_of(state.shm_prefix))
        process.remove_shared_memory(state.shm_prefix)
    path(folder, name=name).unlink(missing_ok=True)


def check_free(settings: ServerSettings) -> None:
    """Raise `AlreadyRunning` when a server of this name runs."""
    with exclusive(settings):
        return


@contextmanager
def exclusive(settings: ServerSettings) -> Iterator[None]:
    """Hold the server's name until the block or this process ends.

    Raises `AlreadyRunning` when another supervisor holds it.
    """
    with ExitStack() as held:
        try:
            held.enter_context(files.exclusive(_lock(settings.folder, name=settings.name), wait=False))
        except BlockingIOError as error:
            raise _already_running(settings, read(settings.folder, name=settings.name)) from error
        yield


def is_held(folder: Path, *, name: str) -> bool:
    """Whether a supervisor of any version holds this name."""
    return files.is_held(_lock(folder, name=name))


def _lock(folder: Path, *, name: str) -> Path:
    return folder / f"{name}.lock"


def _already_running(settings: ServerSettings, state: ServerState | None) -> AlreadyRunning:
    where = f" (pid {state.pid}, gRPC port {state.settings.grpc_port})" if state else ""
    return AlreadyRunning(
        f"A server named {settings.name!r} is already running{where}.",
        remedy=f"Stop it with `bark-serve down {settings.name}`, or start this one under another --name.",
    )
