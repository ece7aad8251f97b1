"""The gateway's process beside a server, with a stand-in for the gateway. The real one: `tests/system`."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bark_serving.server import gateway as module
from bark_serving.server.gateway import LISTENS, Gateway, GatewayFailed
from bark_serving.server.log import previous
from bark_serving.server.settings import ServerSettings

#: Says where it listens; told to end, it does so after so many seconds, as a gateway whose requests run.
STAND_IN = f"""
import signal, sys, time

def end(*_):
    print("told to end", file=sys.stderr, flush=True)
    time.sleep(float(sys.argv[1]))
    sys.exit(0)

signal.signal(signal.SIGTERM, end)
print("{LISTENS}nowhere", file=sys.stderr, flush=True)
while True:
    signal.pause()
"""


@contextmanager
def started(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, takes_s: float, grace: float
) -> Iterator[tuple[Gateway, subprocess.Popen[bytes]]]:
    """A gateway whose requests take so long, and its process."""
    monkeypatch.setattr(module, "command", lambda _settings: [sys.executable, "-c", STAND_IN, str(takes_s)])
    gateway = Gateway(ServerSettings(repository=folder, folder=folder, grace=grace))
    assert gateway.start() == "nowhere"
    child = gateway._child
    assert child is not None
    try:
        yield gateway, child
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("begun", [True, False])
def test_the_gateway_s_requests_get_the_server_s_grace_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    with started(tmp_path, monkeypatch, takes_s=2, grace=60) as (gateway, child):
        if begun:
            gateway.begin_stop()
        gateway.stop()
        assert child.returncode == 0, "it ended by itself"


def test_a_gateway_that_takes_longer_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_TIMEOUT_S", 0.2)
    with started(tmp_path, monkeypatch, takes_s=60, grace=0.3) as (gateway, child):
        gateway.begin_stop()
        asked = time.monotonic()
        gateway.stop()
        assert 0.4 < time.monotonic() - asked < 20
        assert child.returncode == -9


def test_someone_in_a_hurry_cuts_its_requests_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with started(tmp_path, monkeypatch, takes_s=60, grace=60) as (gateway, child):
        gateway.stop(hurry=lambda: True)
        assert child.returncode is not None


def look_until(gateway: Gateway, reported: list[str], words: str) -> None:
    deadline = time.monotonic() + 20
    while not any(words in line for line in reported):
        assert time.monotonic() < deadline, reported
        gateway.look(report=reported.append)
        time.sleep(0.02)


def test_nobody_waits_for_a_gateway_that_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MIN_RUN_S", 0.0)
    with started(tmp_path, monkeypatch, takes_s=0, grace=1) as (gateway, first):
        first.kill()
        first.wait()
        silent = [sys.executable, "-c", "import time; time.sleep(600)"]
        monkeypatch.setattr(module, "command", lambda _settings: silent)
        reported: list[str] = []
        asked = time.monotonic()
        gateway.look(report=reported.append)
        gateway.look(report=reported.append)
        assert time.monotonic() - asked < 5 and reported == ["The gateway ended by itself\nStarting it again"]
        waiting = gateway._child
        monkeypatch.setattr(module, "START_TIMEOUT_S", 0.0)
        look_until(gateway, reported, "The gateway did not start")
        assert waiting is not None and waiting.returncode == -9, "it gets no more time"
        gateway.stop(hurry=lambda: True)


def test_a_gateway_that_ends_is_started_again_and_the_log_of_its_last_run_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MIN_RUN_S", 0.0)
    with started(tmp_path, monkeypatch, takes_s=0, grace=1) as (gateway, first):
        log = tmp_path / "bark.gateway.log"
        with log.open("a") as file:
            file.write("why it ended\n")
        first.kill()
        first.wait()
        works = module.command
        monkeypatch.setattr(module, "command", lambda _settings: [sys.executable, "-c", "print('no port'); exit(1)"])
        reported: list[str] = []
        look_until(gateway, reported, "The gateway did not start.\n  no port")
        reported.clear()
        look_until(gateway, reported, "The gateway did not start.\n  no port")
        assert "why it ended" in previous(log).read_text()
        monkeypatch.setattr(module, "command", works)
        look_until(gateway, reported, "The gateway listens again, on nowhere")
        assert gateway._child is not None
        gateway._child.kill()
        gateway._child.wait()


def test_the_gateway_is_told_the_server_s_grace_time(tmp_path: Path) -> None:
    command = module.command(ServerSettings(repository=tmp_path, folder=tmp_path, grace=2.5))
    assert command[command.index("--grace") + 1] == "2.5"


def test_a_gateway_that_refuses_its_settings_is_quoted_in_the_words_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says = (
        "Usage: bark-gateway\n╭─ Error ───╮\n│ Invalid value for '--max-active' (env var: │\n"
        "│ 'BARK_GATEWAY_MAX_ACTIVE'): no number │\n╰───╯"
    )
    monkeypatch.setattr(module, "command", lambda _settings: [sys.executable, "-c", f"import sys; sys.exit({says!r})"])
    monkeypatch.setenv("BARK_GATEWAY_MAX_ACTIVE", "foo")
    with pytest.raises(GatewayFailed) as caught:
        Gateway(ServerSettings(repository=tmp_path, folder=tmp_path)).start()
    assert caught.value.problem == "The gateway did not start. BARK_GATEWAY_MAX_ACTIVE=foo: no number."
    assert caught.value.remedy == f"The gateway's log is {tmp_path / 'bark.gateway.log'}."
