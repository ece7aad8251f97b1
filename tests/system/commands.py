"""`bark-serve` in processes of its own, and what must be left of a server: nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from bark_serving.host.processes import is_running
from bark_serving.server import detach, state
from bark_serving.server.process import SHARED_MEMORY, find
from tests.system import toy


class Cli:
    """`bark-serve` in processes of their own, on toys under one folder. Ends what a failed test leaves."""

    def __init__(self, folder: Path) -> None:
        self.settings = toy.settings(folder)
        self._started: list[subprocess.Popen[str]] = []

    def serve(self, repository: Path) -> None:
        """Serve this model repository in place of the toys."""
        self.settings = self.settings.model_copy(update={"repository": repository})

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-c", "from bark_serving.cli.main import app; app()", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "BARK_STATE": str(self.settings.folder), "COLUMNS": "400"},
        )
        self._started.append(child)
        return child

    def run(self, *arguments: str, expect: int = 0) -> str:
        child = self.start(*arguments)
        output, _ = child.communicate(timeout=150)
        assert child.returncode == expect, output
        return output

    def up(self, *more: str, name: str = "toy", ports: dict[str, int] | None = None) -> list[str]:
        ports = ports or self.settings.ports
        options = [part for option, port in ports.items() for part in (f"--{option}", str(port))]
        return ["up", "--repository", str(self.settings.repository), "--name", name, *options, *more]

    def state(self) -> state.ServerState:
        found = state.read(self.settings.folder, name=self.settings.name)
        assert found is not None
        return found

    def close(self) -> None:
        detach.end(self.settings.folder, name=self.settings.name)
        for child in self._started:
            if child.poll() is None:
                child.kill()
            child.wait()
            assert child.stdout is not None
            child.stdout.close()


def until(condition: Callable[[], bool], *, timeout: float = 150.0) -> None:
    """Wait for an event in another process, which nothing announces."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def processes_of(description: state.ServerState) -> list[psutil.Process]:
    triton = find(description.triton_pid, born=description.triton_born)
    assert triton is not None
    return [triton, *triton.children(recursive=True)]


def regions(prefix: str) -> list[Path]:
    return list(SHARED_MEMORY.glob(f"{prefix}*"))


def assert_no_trace(description: state.ServerState, processes: list[psutil.Process]) -> None:
    assert not [process for process in processes if is_running(process)]
    assert not regions(description.shm_prefix)
    assert not state.path(description.settings.folder, name=description.settings.name).exists()
