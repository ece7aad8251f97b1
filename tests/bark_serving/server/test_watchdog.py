"""Which processes are noticed and killed, and what is loaded again. On a real Triton: `tests/system/test_faults.py`."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest.mock import MagicMock

import psutil
import pytest

from bark_serving.host.processes import is_running
from bark_serving.server import ServerSettings, reloads, watchdog
from bark_serving.server.canary import CanaryFailed, NoAnswer
from bark_serving.server.reloads import Reloads, reload_model
from bark_serving.server.watchdog import StartWatch, StubWatch


class Models:
    """Processes that stand in for the stubs of a server, and what loads them again."""

    def __init__(self, *names: str) -> None:
        self.children: list[subprocess.Popen[bytes]] = []
        self.running: dict[psutil.Process, str] = {}
        self.reloaded: list[str] = []
        self.together = threading.Barrier(1)  #: reloads meet here
        for name in names:
            self.start(name)

    def start(self, name: str) -> None:
        child = subprocess.Popen(["sleep", "600"])
        self.children.append(child)
        self.running[psutil.Process(child.pid)] = name

    def reload(self, name: str, **_: object) -> None:
        self.together.wait(timeout=20)
        self.reloaded.append(name)
        self.start(name)

    def send(self, name: str, number: signal.Signals) -> None:
        [process] = [one for one, model in self.running.items() if model == name and is_running(one)]
        process.send_signal(number)

    def alive(self, _triton: object = None) -> dict[psutil.Process, str]:
        return {process: name for process, name in self.running.items() if is_running(process)}


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Iterator[Models]:
    found = Models("echo", "bark")
    monkeypatch.setattr(watchdog, "running_stubs", found.alive)
    monkeypatch.setattr(watchdog, "reload_model", found.reload)
    yield found
    for child in found.children:
        child.kill()
        child.wait()


def watch_of(folder: Path) -> StubWatch:
    settings = ServerSettings(repository=folder, folder=folder)
    return StubWatch(psutil.Process(), settings=settings, control_key="key", patience_s=20)


def look_until(watch: StubWatch, condition: Callable[[], bool]) -> list[str]:
    said: list[str] = []
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, said
        watch.look(report=said.append)
        time.sleep(0.01)
    return said


def test_models_that_die_together_are_loaded_side_by_side(models: Models, tmp_path: Path) -> None:
    watch = watch_of(tmp_path)
    models.together = threading.Barrier(2)  # neither reload ends before the other has begun
    for name in ("echo", "bark"):
        models.send(name, signal.SIGKILL)
    said = look_until(watch, lambda: sorted(models.reloaded) == ["bark", "echo"])
    said += look_until(watch, lambda: not any(watch.reloading(name) for name in ("echo", "bark")))
    assert sorted(models.alive().values()) == ["bark", "echo"]
    assert sum("died; reloading it in 0 s" in line for line in said) == 2
    assert sum("reloaded in" in line for line in said) == 2


def test_a_model_that_dies_during_another_reload_is_reloaded_too(models: Models, tmp_path: Path) -> None:
    watch = watch_of(tmp_path)
    models.together = threading.Barrier(2)
    models.send("echo", signal.SIGKILL)
    look_until(watch, lambda: watch.reloading("echo"))
    models.send("bark", signal.SIGKILL)
    look_until(watch, lambda: sorted(models.reloaded) == ["bark", "echo"])


def test_a_model_whose_process_hangs_is_killed_and_reloaded(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "MAX_STUB_STOPPED_S", 0.1)
    watch = watch_of(tmp_path)
    models.send("echo", signal.SIGSTOP)
    said = look_until(watch, lambda: models.reloaded == ["echo"])
    assert "hangs; it is killed" in said[0]
    assert sorted(models.alive().values()) == ["bark", "echo"]


def test_a_process_that_goes_on_in_time_is_left_alone(models: Models, tmp_path: Path) -> None:
    watch = watch_of(tmp_path)
    models.send("echo", signal.SIGSTOP)
    said: list[str] = []
    watch.look(report=said.append)
    models.send("echo", signal.SIGCONT)
    watch.look(report=said.append)
    assert said == [] and sorted(models.alive().values()) == ["bark", "echo"]


@pytest.mark.parametrize(("age_s", "ended"), [(60.0, True), (0.5, False)])
def test_triton_is_ended_when_it_gave_up_a_process_that_still_runs(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age_s: float, ended: bool
) -> None:
    """What the log says of a process that has just been started is about the one before it."""
    triton = subprocess.Popen(["sleep", "600"])
    models.children.append(triton)
    settings = ServerSettings(repository=tmp_path, folder=tmp_path)
    watch = StubWatch(psutil.Process(triton.pid), settings=settings, control_key="key", patience_s=20)
    [echo] = [process for process, name in models.running.items() if name == "echo"]
    monkeypatch.setattr(watchdog, "time", MagicMock(time=lambda: echo.create_time() + age_s, monotonic=time.monotonic))
    said: list[str] = []
    watch.look(given_up=["echo"], report=said.append)
    assert is_running(psutil.Process(triton.pid)) is not ended
    assert said == ["model echo: Triton has given up its process, which still runs; Triton is ended"] * ended


def test_a_process_that_triton_gave_up_because_it_died_is_only_reloaded(models: Models, tmp_path: Path) -> None:
    watch = watch_of(tmp_path)
    [echo] = [process for process, name in models.running.items() if name == "echo"]
    echo.kill()
    echo.wait()
    said: list[str] = []
    watch.look(given_up=["echo"], report=said.append)
    assert "reloading it" in said[0] and len(said) == 1
    look_until(watch, lambda: models.reloaded == ["echo"])


@pytest.mark.parametrize("stopped", ["tritonserver", "echo"])
def test_a_triton_that_is_stopped_or_has_a_stopped_model_while_it_starts_is_killed(
    models: Models, monkeypatch: pytest.MonkeyPatch, stopped: str
) -> None:
    monkeypatch.setattr(watchdog, "MAX_STOPPED_S", 0.1)
    monkeypatch.setattr(watchdog, "WATCH_INTERVAL_S", 0.01)
    models.start("tritonserver")
    [triton] = [process for process, name in models.running.items() if name == "tritonserver"]
    said: list[str] = []
    watch = StartWatch(triton, report=said.append)
    watch.look()
    assert said == [] and is_running(triton)
    models.send(stopped, signal.SIGSTOP)
    deadline = time.monotonic() + 20
    while is_running(triton):
        assert time.monotonic() < deadline
        watch.look()
    assert said == [f"Triton (pid {triton.pid}) hangs while it starts; it is killed"]


def test_a_model_that_dies_again_and_again_is_reloaded_ever_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(reloads.time, "monotonic", lambda: now)
    queue = Reloads(lambda _name: None)
    delays = []
    for _ in range(9):
        delays.append(queue.ask("bark"))
        now += delays[-1] + 1.0
    assert delays == [0, 1, 2, 4, 8, 16, 32, 60, 60]
    now += 2 * reloads.MAX_DELAY_S
    assert queue.ask("bark") == 0


@pytest.mark.parametrize(
    ("answer", "counted", "ended"),
    [
        (None, [1, 2], False),
        (CanaryFailed("refused"), [1, 1], False),
        (NoAnswer("no answer came in time."), [1, 2], False),
        (NoAnswer("no answer came in time."), [1, 1], True),
    ],
)
def test_a_reloaded_bark_that_says_nothing_ends_triton(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: Exception | None, counted: list[int], ended: bool
) -> None:
    """Unless it is busy with what came before: then other requests are answered meanwhile."""
    monkeypatch.setattr(reloads, "control", MagicMock())
    monkeypatch.setattr(reloads.canary, "speak", MagicMock(side_effect=answer))
    monkeypatch.setattr(reloads, "_answers", MagicMock(side_effect=counted))
    settings = ServerSettings(repository=tmp_path, folder=tmp_path)
    with subprocess.Popen(["sleep", "600"]) as child:
        triton = psutil.Process(child.pid)
        queue = Reloads(partial(reload_model, triton=triton, settings=settings, control_key="key", patience_s=1.5))
        queue.ask("bark")
        said: list[str] = []
        deadline = time.monotonic() + 20
        while not said:
            assert time.monotonic() < deadline
            list(queue.go_on(report=said.append))
            time.sleep(0.01)
        assert is_running(triton) is not ended
        child.kill()
    assert ("does not speak; Triton is ended" in said[0]) is ended
    assert not queue.under_way("bark"), "it is not reloaded once more"
    assert reloads.canary.speak.call_args.kwargs == {"timeout": 1.5}  # type: ignore[attr-defined]
