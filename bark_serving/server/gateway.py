"""The gateway beside a server, for `bark-serve up --gateway`: a process that runs while the server does."""

from __future__ import annotations

import ipaddress
import math
import os
import re
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
_FREE: Final = re.compile(r"(--\S+) (\d+) is free")  #: what the gateway's `--check` says of each port
_WRONG_VALUE: Final = re.compile(r"Invalid value for '[^']+' \(env var: '(\w+)'\): ")  #: as typer begins it
#: What stands for options of the gateway in a refusal, where it is not the variable of the same name.
_FOR_OPTIONS: Final = {
    "--keys": "BARK_GATEWAY_KEY_FILE",
    "--new-key": "`bark-gateway --new-key NAME`",
    "--insecure": "BARK_GATEWAY_INSECURE=true",
}


class GatewayFailed(ServerError):
    """The gateway did not start."""


class Gateway:
    """The gateway of one server. Call its methods in the main thread only (see `process.launch`)."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._started, self._ends_by = 0.0, math.inf  # as time.monotonic() counts
        self._child: subprocess.Popen[bytes] | None = None
        self._listens = False  # whether the last run has said so

    def start(self) -> str:
        """Start it, wait until it listens, and return where. Raises `GatewayFailed`."""
        child = self._launch(new_log=True)
        where = wait_until_listening(child, self._lines)
        if where is None:
            self.stop(hurry=lambda: True)
            raise GatewayFailed(
                self._why_not_started(), remedy=f"The gateway's log is {self._settings.gateway_log_path}."
            )
        self._listens = True
        return where

    def look(self, *, report: Callable[[str], None]) -> None:
        """Start it again if it has ended. Nothing waits for it: a later look sees whether it listens."""
        if self._child is None:
            return
        age = time.monotonic() - self._started
        if not self._listens:
            if where := _where(self._lines()):
                self._listens = True
                report(f"The gateway listens again, on {where}")
            elif age > START_TIMEOUT_S:
                self._child.kill()
                self._child.wait()
        if self._child.poll() is None or age < MIN_RUN_S:
            return
        why = "The gateway ended by itself" if self._listens else self._why_not_started()
        report(f"{why}\nStarting it again")
        try:
            self._launch(new_log=self._listens)  # the log before a failed start is that of the last run that listened
        except OSError as error:
            report(f"The gateway can't be started now: {(error.strerror or str(error)).lower()}")

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

    def _launch(self, *, new_log: bool) -> subprocess.Popen[bytes]:
        self._started = time.monotonic()
        if new_log:
            log.rotate(self._settings.gateway_log_path)
        self._child = process.launch(
            command(self._settings), environment=_environment(), log=self._settings.gateway_log_path
        )
        self._ends_by, self._listens = math.inf, False
        return self._child

    def _why_not_started(self) -> str:
        lines = self._lines()
        if said := _refusal(lines):
            return f"The gateway did not start. {said}"
        return "\n".join(["The gateway did not start.", *(f"  {line}" for line in lines[-5:])])

    def _lines(self) -> list[str]:
        return self._settings.gateway_log_path.read_text(encoding="utf-8", errors="replace").splitlines()


def wait_until_listening(child: subprocess.Popen[Any], lines: Callable[[], Sequence[str]]) -> str | None:
    """Where a gateway's process listens, once the lines of its log say so.

    None if it ends before, or takes longer than `START_TIMEOUT_S`.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if where := _where(lines()):
            return where
        if child.poll() is not None:
            return None
        time.sleep(_POLL_S)
    return None


def _where(lines: Sequence[str]) -> str | None:
    """Where a gateway listens, if the lines of its log say so."""
    return next((line.removeprefix(LISTENS) for line in lines if line.startswith(LISTENS)), None)


def check_installed() -> None:
    """Raise `GatewayFailed` if the gateway's libraries are missing."""
    missing = [name for name in ("bark_gateway", "bark_client", "fastapi", "uvicorn") if not find_spec(name)]
    if missing:
        raise GatewayFailed(f"The gateway needs {', '.join(missing)}.", remedy=install_remedy("gateway"))


def check_address(settings: ServerSettings) -> None:
    """Raise `GatewayFailed` if a network could reach Triton, which has no keys, past the gateway."""
    if ipaddress.ip_address(settings.address).is_loopback:
        return
    raise GatewayFailed(
        f"--address {settings.address} opens Triton to the network, without the keys of the gateway.",
        remedy="Leave --address out. BARK_GATEWAY_ADDRESS=0.0.0.0 in the environment puts the gateway on the network; "
        "its keys are in BARK_GATEWAY_KEYS or in the file that BARK_GATEWAY_KEY_FILE names.",
    )


def check_settings(settings: ServerSettings) -> None:
    """Raise `GatewayFailed` if a variable of the gateway has a wrong value, or its port is taken.

    The gateway says it by `--check`, and which ports it wants, because the server does not import it.
    """
    checked = subprocess.run(
        [*command(settings), "--check"], env=_environment(), capture_output=True, text=True, check=False
    )
    if checked.returncode:
        lines = checked.stderr.splitlines()
        raise GatewayFailed(f"The gateway can't start. {_refusal(lines) or ' '.join(lines[-1:])}")
    of_server = {str(port): option for option, port in settings.ports.items()}
    for option, port in _FREE.findall(checked.stdout):
        if port in of_server:
            raise GatewayFailed(
                f"{_variable(option)} {port} is the server's --{of_server[port]}.",
                remedy="Give one of them another port.",
            )


def _environment() -> dict[str, str]:
    """The environment of a gateway, which then says what is wrong in plain lines, without a box around them."""
    return {**os.environ, "TYPER_USE_RICH": "0"}


def _refusal(lines: Sequence[str]) -> str:
    """What a gateway says of a wrong setting, with the names of variables. Empty if it says nothing."""
    plain = [line.strip("│╭╮╰╯─ ") for line in lines]
    begins = [number for number, line in enumerate(plain) if re.match(r"error\b", line, re.IGNORECASE)]
    if not begins:
        return ""
    text = re.sub(r"^error:?\s*", "", " ".join(filter(None, plain[begins[-1] :])), flags=re.IGNORECASE)
    text = _WRONG_VALUE.sub(lambda found: f"{found[1]}={os.environ.get(found[1], '')}: ", text)
    text = re.sub(r"--[a-z][a-z-]*", lambda found: _FOR_OPTIONS.get(found[0]) or _variable(found[0]), text)
    return text if text.endswith(".") else f"{text}."


def _variable(option: str) -> str:
    return f"BARK_GATEWAY_{option.removeprefix('--').upper().replace('-', '_')}"


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


def command(settings: ServerSettings) -> list[str]:
    """What runs a gateway."""
    server = f"{settings.host}:{settings.grpc_port}"
    return [sys.executable, "-m", "bark_gateway", "--server", server, "--grace", f"{settings.grace:g}"]
