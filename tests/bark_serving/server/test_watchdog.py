"""Which dead processes are noticed, and what is loaded again. That it works on a real Triton: `tests/system`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from bark_serving.server import ServerSettings, watchdog
from bark_serving.server.watchdog import StubWatch


class Process(NamedTuple):
    pid: int


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> dict[Process, str]:
    """The models' processes, to be changed by a test."""
    running = {Process(1): "echo", Process(2): "bark"}
    monkeypatch.setattr(watchdog, "running_stubs", lambda _triton: dict(running))
    return running


def test_a_model_that_dies_during_another_reload_is_reloaded_too(
    alive: dict[Process, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reloaded: list[str] = []

    def reload(model: str, **_: object) -> None:
        reloaded.append(model)
        alive[Process(10 + len(reloaded))] = model
        alive.pop(Process(2), None)  # bark's, the first time

    monkeypatch.setattr(watchdog, "reload_model", reload)
    watch = StubWatch(
        psutil.Process(), settings=ServerSettings(repository=tmp_path, folder=tmp_path), control_key="key"
    )
    del alive[Process(1)]
    said: list[str] = []
    for _ in range(4):
        watch.look(report=said.append)
    assert reloaded == ["echo", "bark"]
    assert alive == {Process(11): "echo", Process(12): "bark"}
    assert [line.split(";")[0] for line in said[::2]] == [
        "model echo: its process 1 died",
        "model bark: its process 2 died",
    ]
