"""A server's process. It ends when its supervisor ends, and a stop leaves nothing of it."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from bark_serving.host.processes import is_running
from bark_serving.server.errors import PortInUse
from bark_serving.server.settings import ServerSettings

SHARED_MEMORY = Path("/dev/shm")
UNLOAD_GRACE_S = 5.0  #: that models get to finalize; each takes about 1.3 s, in parallel
CONNECTION_GRACE_S = 1.0  #: that clients get to close their connections once every model is unloaded
_PR_SET_PDEATHSIG = 1
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_START_TIME_FIELD = 22 - 3  # of /proc/PID/stat (proc(5)), counted from the field after the name
_libc = ctypes.CDLL(None, use_errno=True)


class StopRequest:
    """A request to stop: a signal handler sets it, the supervisor waits for it.

    A `threading.Event` could deadlock, because the thread that the handler interrupts may hold the event's lock.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self.count = 0

    def set(self, *_: object) -> None:
        """Ask for a stop. It can be a signal handler. The second call asks for an immediate stop."""
        self.count += 1
        if self.count == 1:
            os.write(self._writer, b"\0")

    def is_urgent(self) -> bool:
        """Whether a stop was asked for more than once."""
        return self.count > 1

    def wait(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds. Returns whether a stop was asked for."""
        return bool(select.select([self._reader], [], [], timeout)[0])

    def listen(self, *signals: signal.Signals) -> None:
        for number in signals:
            signal.signal(number, self.set)


def check_ports(settings: ServerSettings) -> None:
    """Raise `PortInUse` if a port is taken. It names the option and, if this user may see it, the process."""
    for option, port in settings.ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
            try:
                probe.bind((settings.address, port))
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    raise PortInUse(
                        f"This machine has no address {settings.address}.",
                        remedy="Give another --address: 127.0.0.1 is this machine alone, 0.0.0.0 all its addresses.",
                    ) from error
                raise PortInUse(
                    f"Port {port} on {settings.address} cannot be used ({error.strerror}{_listener(port)}).",
                    remedy=f"Give another port with --{option}, or stop the process that listens there.",
                ) from error


def _listener(port: int) -> str:
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return ""
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
            return f", held by pid {connection.pid} ({psutil.Process(connection.pid).name()})"
    return ""


def launch(command: Sequence[str], *, environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start `command` in its own process group. Its output is appended to `log`.

    The kernel kills it when this process dies for any reason (``PR_SET_PDEATHSIG``). That setting follows the *thread*
    that forked, so only the main thread may launch.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("launch() must run in the main thread: the server dies with the thread that starts it")
    parent = os.getpid()

    def die_with_parent() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the call of prctl
            os._exit(1)

    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            process_group=0,
            preexec_fn=die_with_parent,
        )


def birth(pid: int) -> str:
    """What distinguishes a process from all others with the same pid: the boot, and its start in ticks since then.

    A time of day would change when the clock is set. Raises `psutil.NoSuchProcess`.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError) as error:
        raise psutil.NoSuchProcess(pid) from error
    return f"{_BOOT.read_text().strip()}/{fields[_START_TIME_FIELD]}"


def find(pid: int, *, born: str) -> psutil.Process | None:
    """The running process of this pid and `birth`, or None."""
    try:
        process = psutil.Process(pid)
        same = birth(pid) == born
    except psutil.NoSuchProcess:
        return None
    return process if same and is_running(process) else None


def stop(
    process: psutil.Process,
    *,
    timeout: float,
    drained: Callable[[], bool] = lambda: False,
    hurry: Callable[[], bool] = lambda: False,
) -> bool:
    """End a server and its whole process group: SIGTERM, at most `timeout` seconds, then SIGKILL to what is left.

    Triton may go on running when it has nothing left to do. So it gets at most `UNLOAD_GRACE_S` seconds more once it
    has `drained` (no inference runs), and at most `CONNECTION_GRACE_S` once its last stub has ended. `hurry` ends the
    wait. Returns whether no inference was cut off.
    """
    stubs = _group(process)
    if is_running(process):
        process.terminate()
    deadline = time.monotonic() + timeout
    idle = unloaded = False
    while is_running(process) and time.monotonic() < deadline and not hurry():
        if not idle and drained():
            idle, deadline = True, min(deadline, time.monotonic() + UNLOAD_GRACE_S)
        if not unloaded and not any(map(is_running, stubs)):
            unloaded, deadline = True, min(deadline, time.monotonic() + CONNECTION_GRACE_S)
        wait_for([process], timeout=0.1)
    clean = idle or unloaded or not is_running(process)
    kill([process, *stubs, *_group(process)])
    return clean


def kill(processes: Iterable[psutil.Process], *, timeout: float = 10.0) -> None:
    """Send SIGKILL, and wait until the processes have ended. A new parent reaps those that became zombies."""
    targets = list(processes)
    for process in targets:
        if is_running(process):
            process.kill()
    wait_for(targets, timeout=timeout)


def wait_for(processes: Iterable[psutil.Process], *, timeout: float) -> bool:
    """Whether all ended within `timeout` seconds. Polls: psutil waits for reaping, which may not be ours to do."""
    deadline = time.monotonic() + timeout
    remaining = [process for process in processes if is_running(process)]
    while remaining and time.monotonic() < deadline:
        time.sleep(0.02)
        remaining = [process for process in remaining if is_running(process)]
    return not remaining


def _group(leader: psutil.Process) -> list[psutil.Process]:
    """The other processes of the group that `launch` made: the stubs, orphaned ones too."""
    members = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == leader.pid != process.pid:
                members.append(process)
        except ProcessLookupError:
            continue
    return members


def remove_shared_memory(prefix: str) -> None:
    """Remove the regions of one server, which a killed stub leaves behind. Others' regions stay."""
    for path in SHARED_MEMORY.glob(f"{prefix}*"):
        path.unlink(missing_ok=True)
