"""What `serve` does when Triton ends, with stand-ins for Triton and the gateway. On a real one: `tests/system`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bark_serving.server import ServerSettings, detached, state, supervisor
from bark_serving.server.errors import ResourcesMissing, ServerDied, ServerError, StartFailed
from bark_serving.server.process import StopRequest
from bark_serving.server.restarts import MAX_SHORT_RUNS, Restarts


class Runs:
    """Runs of Triton, one after the other, each with what ends it; and what happened, in order."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings, self.stop = settings, StopRequest()
        self.ends: list[Exception | None] = []  #: of the next runs; None: the user stops the server
        self.events: list[str] = []
        self.restarts: list[int] = []

    @contextmanager
    def held(self, _settings: ServerSettings) -> Iterator[None]:
        yield

    @contextmanager
    def triton(self, *_: object, restarts: Restarts, **__: object) -> Iterator[Any]:
        self.restarts.append(restarts.count)
        if self.ends and isinstance(self.ends[0], StartFailed | ResourcesMissing | OSError):
            raise self.ends.pop(0)  # type: ignore[misc]
        self.events.append("Triton starts")
        try:
            yield SimpleNamespace(process=SimpleNamespace(pid=7), control_key="key")
        finally:
            self.events.append("Triton ends")

    @contextmanager
    def gateway(self, _settings: ServerSettings, **_: object) -> Iterator[tuple[None, str]]:
        self.events.append("the gateway starts")
        try:
            yield None, ""
        finally:
            self.events.append("the gateway ends")

    def watch(self, *_: object, **__: object) -> None:
        if (end := self.ends.pop(0)) is not None:
            raise end
        self.stop.set()

    def serve(self, *ends: Exception | None) -> None:
        self.ends = list(ends)
        supervisor.serve(self.settings, stop=self.stop, ready=lambda _server: self.events.append("ready"))


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    found = Runs(ServerSettings(repository=tmp_path, folder=tmp_path))
    monkeypatch.setattr(supervisor, "held", found.held)
    monkeypatch.setattr(supervisor, "run_triton", found.triton)
    monkeypatch.setattr(supervisor.gateway, "beside", found.gateway)
    monkeypatch.setattr(supervisor, "watch", found.watch)
    monkeypatch.setattr(supervisor, "drain", lambda *_, **__: found.events.append("requests end"))
    monkeypatch.setattr(supervisor, "replace", lambda server, **_: server)
    monkeypatch.setattr(Restarts, "delay_s", 0.0)
    return found


def died() -> ServerDied:
    return ServerDied("it died")


def test_the_gateway_goes_on_while_triton_is_started_again(runs: Runs) -> None:
    runs.serve(died(), died(), None)
    assert runs.events == [
        *("Triton starts", "the gateway starts", "ready", "Triton ends"),
        *("Triton starts", "Triton ends"),
        *("Triton starts", "requests end", "the gateway ends", "Triton ends"),
    ]
    assert runs.restarts == [0, 1, 2]
    assert "it died" in runs.settings.log_path.read_text()


def test_a_first_start_that_fails_is_not_repeated(runs: Runs) -> None:
    with pytest.raises(StartFailed, match="no engine"):
        runs.serve(StartFailed("no engine"))
    assert runs.events == []


def test_a_server_that_ends_again_and_again_is_given_up_with_the_reason(runs: Runs) -> None:
    ends = [died(), *(StartFailed("no engine") for _ in range(MAX_SHORT_RUNS))]
    tries = (
        f"Triton failed to start, or ended within 10 s, {MAX_SHORT_RUNS + 1} times in a row. The last time: no engine"
    )
    with pytest.raises(ServerError, match=tries):
        runs.serve(*ends)
    assert runs.events[-1] == "the gateway ends"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "Triton could not be run: no space left on device"),
        (ResourcesMissing("/dev/shm has 1 MiB free", remedy="Give it more."), "/dev/shm has 1 MiB free"),
    ],
)
def test_what_keeps_triton_from_starting_again_is_tried_again_and_does_not_end_the_server(
    runs: Runs, error: Exception, said: str
) -> None:
    with pytest.raises(type(error)):
        runs.serve(error)
    runs.serve(died(), error, None)
    assert runs.restarts == [0, 0, 1, 2] and runs.events[-1] == "Triton ends"
    assert said in runs.settings.log_path.read_text()


def test_a_full_disk_does_not_keep_triton_from_coming_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_state: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state, "write", full)
    settings = ServerSettings(repository=tmp_path, folder=tmp_path)
    first = state.describe(settings, os.getpid(), shm_prefix="", control_key="")
    with pytest.raises(OSError, match="No space left"):
        state.note(first)
    state.note(first.model_copy(update={"restarts": Restarts(count=1)}))


def test_a_server_in_the_background_says_in_its_log_why_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ServerSettings(repository=tmp_path, folder=tmp_path)
    settings.log_path.touch()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(detached, "serve", full)
    monkeypatch.setattr(StopRequest, "listen", lambda *_: None)
    reader, writer = os.pipe()
    assert detached.main([settings.model_dump_json(), "--report-descriptor", str(writer)]) == 1
    with os.fdopen(reader) as events:
        told = json.loads(events.read())
    assert "No space left" in told["error"] and "has room" in told["remedy"]
    assert "No space left" in settings.log_path.read_text()
