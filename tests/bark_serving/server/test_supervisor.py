"""What `serve` does when Triton ends, with stand-ins for Triton and the gateway. On a real one: `tests/system`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bark_serving.server import ServerSettings, supervisor
from bark_serving.server.errors import ServerDied, ServerError, StartFailed
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
        if self.ends and isinstance(self.ends[0], StartFailed):
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
    monkeypatch.setattr(supervisor, "_held", found.held)
    monkeypatch.setattr(supervisor, "_triton", found.triton)
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
    with pytest.raises(ServerError, match=rf"ended {MAX_SHORT_RUNS + 1} times .* The last time: no engine"):
        runs.serve(*ends)
    assert runs.events[-1] == "the gateway ends"
