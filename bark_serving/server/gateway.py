"""The gateway beside a server, for `bark-serve up --gateway`: a process that runs while the server does."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Final

from bark_serving.errors import install_remedy
from bark_serving.server import log, process
from bark_serving.server.errors import ServerError
from bark_serving.server.settings import ServerSettings

LISTENS: Final = "The gateway listens on "  #: begins the line of its log that says where
START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 5.0  #: that it gets to end, after the grace time of its requests
MIN_RUN_S: Final = 5.0  #: after a shorter run it is not started again at once
_POLL_S: Final = 0.05


class GatewayFailed(ServerError):
    """The gateway did not start."""


class Gateway:
    """The gateway of one server. Call its methods in the main thread only (see `process.launch`)."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._started, self._ends_by = 0.0, math.inf  # as time.monotonic() counts
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Start it and return where it listens. Raises `GatewayFailed`."""
        log.rotate(self._settings.gateway_log_path)
        self._child = child = process.launch(
            _command(self._settings), environment=os.environ, log=self._settings.gateway_log_path
        )
        self._started, self._ends_by = time.monotonic(), math.inf
        where = wait_until_listening(child, self._lines)
        if where is not None:
            return where
        self.stop(hurry=lambda: True)
        said = "\n".join(f"  {line}" for line in self._lines()[-5:])
        raise GatewayFailed(
            f"The gateway did not start.\n{said}",
            remedy="`bark-gateway --help` lists its settings; the environment gives them: BARK_GATEWAY_PORT=9000.",
        )

    def look(self, *, report: Callable[[str], None]) -> None:
        """Start it again if it has ended."""
        if self._child is None or self._child.poll() is None or time.monotonic() < self._started + MIN_RUN_S:
            return
        report("The gateway ended by itself; starting it again")
        try:
            self.start()
        except GatewayFailed as error:
            report(error.problem)

    def begin_stop(self) -> None:
        """Tell it to end, and do not wait. It refuses new requests; the running ones get the server's grace time."""
        if self._child is not None and self._child.poll() is None:
            self._ends_by = time.monotonic() + self._settings.grace + STOP_TIMEOUT_S
            self._child.terminate()

    def stop(self, *, hurry: Callable[[], bool] = lambda: False) -> None:
        """End it, within the grace time that `begin_stop` began or that begins now. `hurry` cuts its requests off."""
        if self._child is None or self._child.poll() is not None:
            return
        if self._ends_by == math.inf:
            self.begin_stop()
        while self._child.poll() is None and time.monotonic() < self._ends_by and not hurry():
            time.sleep(_POLL_S)
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()

    def _lines(self) -> list[str]:
        return self._settings.gateway_log_path.read_text(encoding="utf-8", errors="replace").splitlines()


def wait_until_listening(child: subprocess.Popen[Any], lines: Callable[[], Sequence[str]]) -> str | None:
    """Where a gateway's process listens, once the lines of its log say so.

    None if it ends before, or takes longer than `START_TIMEOUT_S`.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if where := [line.removeprefix(LISTENS) for line in lines() if line.startswith(LISTENS)]:
            return where[0]
        if child.poll() is not None:
            return None
        time.sleep(_POLL_S)
    return None


def check_installed() -> None:
    """Raise `GatewayFailed` if the gateway's libraries are missing."""
    missing = [name for name in ("bark_gateway", "bark_client", "fastapi", "uvicorn") if not find_spec(name)]
    if missing:
        raise GatewayFailed(f"The gateway needs {', '.join(missing)}.", remedy=install_remedy("gateway"))


@contextmanager
def beside(
    settings: ServerSettings, *, report: Callable[[str], None], hurry: Callable[[], bool]
) -> Iterator[tuple[Gateway | None, str]]:
    """Run the gateway while the block runs, if the settings want one. Yields it, and where it listens.

    `hurry` cuts off the requests that it still has after the block.
    """
    if not settings.gateway:
        yield None, ""
        return
    report("Starting the gateway")
    gateway = Gateway(settings)
    try:
        yield gateway, gateway.start()
    finally:
        gateway.stop(hurry=hurry)


def _command(settings: ServerSettings) -> list[str]:
    server = f"{settings.host}:{settings.grpc_port}"
    return [sys.executable, "-m", "bark_gateway", "--server", server, "--grace", f"{settings.grace:g}"]
