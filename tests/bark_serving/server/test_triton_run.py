"""How a start of Triton that fails is told from one that a signal ended. On a real one: `tests/system`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from bark_serving.server import ServerSettings, triton_run
from bark_serving.server.errors import RepositoryError, StartCrashed, StartFailed


def test_a_repository_without_the_model_names_the_command_that_renders_this_one(tmp_path: Path) -> None:
    settings = ServerSettings(repository=tmp_path / "my repository", folder=tmp_path)
    with pytest.raises(RepositoryError, match=f"-o '{tmp_path}/my repository'`"):
        triton_run.check_repository(settings)


@pytest.mark.parametrize(("ends", "crashed"), [("kill -ABRT $$", True), ("exit 1", False)])
def test_a_start_that_a_signal_ended_is_told_from_one_that_triton_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str, crashed: bool
) -> None:
    triton = MagicMock(command=lambda *_, **__: ["sh", "-c", ends], environment=lambda *_, **__: {})
    monkeypatch.setattr(triton_run, "binary", triton)
    monkeypatch.setattr(triton_run, "held", lambda _settings: nullcontext(triton))
    monkeypatch.setattr(triton_run, "_file_check", lambda *_: MagicMock(failed=False))
    said: list[str] = []
    settings = ServerSettings(repository=tmp_path, folder=tmp_path)
    failure = pytest.raises(StartFailed, match=r"Triton ended before it was ready\.")
    with failure, triton_run.running(settings, report=said.append):
        pytest.fail("it does not answer")
    assert said.count("Starting Triton") == 1 + crashed


@pytest.mark.parametrize(
    ("starts", "raised"),
    [
        ([StartCrashed("SIGABRT"), None], None),
        ([StartCrashed("SIGABRT"), StartCrashed("SIGABRT")], StartCrashed),
        ([StartFailed("no engine"), None], StartFailed),
    ],
)
def test_a_start_that_a_signal_ended_is_tried_once_more(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    starts: list[Exception | None],
    raised: type[Exception] | None,
) -> None:
    @contextmanager
    def started_once(*_: object, **__: object) -> Iterator[str]:
        if (end := starts.pop(0)) is not None:
            raise end
        yield "a server"

    monkeypatch.setattr(triton_run, "_started_once", started_once)
    monkeypatch.setattr(triton_run, "held", lambda _settings: nullcontext())
    said: list[str] = []
    settings = ServerSettings(repository=tmp_path, folder=tmp_path)
    with pytest.raises(raised) if raised else nullcontext(), triton_run.running(settings, report=said.append) as server:
        assert server == "a server"
    assert said == ["SIGABRT\nStarting Triton once more"] * (raised is not StartFailed)
