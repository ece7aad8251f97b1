"""A log that is kept small while its writer goes on, and whose warnings and errors are shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bark_serving.server import ServerSettings, log_follow
from bark_serving.server.log import previous
from bark_serving.server.log_follow import MAX_LINES, Logs, cut

WARNING = '2026-11-22T14:41:17Z W 13792 metrics.cc:807] "unable to get memory usage"'
ERROR = "E1122 14:41:17.366641 13799 pb_stub.cc:366] out of memory"
QUIET = (
    "2026-11-22T14:41:17Z I 13792 model_lifecycle.cc:839] \"successfully loaded 'echo'\"",
    '2026-11-22T14:41:17Z E 13792 server.cc:241] "CudaDriverHelper has not been initialized."',
    "+-------+---------+",
    "",
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "bark.log"
    path.touch()
    return path


def logs_of(log: Path, show: Callable[[str], None]) -> Logs:
    return Logs(ServerSettings(repository=log.parent, folder=log.parent, log=log), show=show)


def append(log: Path, *lines: str) -> None:
    with log.open("a") as file:
        file.write("".join(f"{line}\n" for line in lines))


def test_warnings_and_errors_are_shown_once_and_nothing_else(log: Path) -> None:
    shown: list[str] = []
    logs = logs_of(log, shown.append)
    append(log, *QUIET, WARNING)
    logs.look()
    append(log, ERROR, "a line that a model printed")
    logs.look()
    logs.look()
    assert shown == [WARNING, ERROR, "a line that a model printed"]


def test_a_line_is_shown_when_it_is_whole(log: Path) -> None:
    shown: list[str] = []
    logs = logs_of(log, shown.append)
    for part in (ERROR[:20], f"{ERROR[20:]}\n{ERROR[:5]}"):
        with log.open("a") as file:
            file.write(part)
        logs.look()
    assert shown == [ERROR]


@pytest.mark.parametrize(
    ("line", "models"),
    [
        ("bark_serving.errors.StageFailed: [UNAVAILABLE] Stub process 'semantic_0_0' is not healthy.", {"semantic"}),
        ("E1128 12:00:00.000000 1 x.cc:1] Stub process 'encodec_decode_1_0' is not healthy.", {"encodec_decode"}),
        (ERROR, set()),
    ],
)
def test_the_model_whose_process_triton_gave_up_is_found_once(log: Path, line: str, models: set[str]) -> None:
    logs = Logs(ServerSettings(repository=log.parent, folder=log.parent, log=log), show=None)
    append(log, WARNING, line)
    assert logs.look() == models
    assert logs.look() == set()


def test_of_a_flood_the_rest_is_counted(log: Path) -> None:
    shown: list[str] = []
    append(log, *([ERROR] * (MAX_LINES + 7)))
    logs_of(log, shown.append).look()
    assert shown[MAX_LINES:] == [f"7 more lines are in {log}"]


def test_a_long_log_is_cut_while_its_writer_goes_on(log: Path) -> None:
    shown: list[str] = []
    logs = logs_of(log, shown.append)
    with log.open("ab", buffering=0) as writer:  # as Triton has it
        writer.write(f"{WARNING}\n".encode() * 100)
        logs.look()
        size = log.stat().st_size
        cut(log, limit=size)
        assert log.stat().st_size == size
        cut(log, limit=size - 1)
        assert previous(log).stat().st_size == size and log.stat().st_size == 0
        writer.write(f"{ERROR}\n".encode())
        logs.look()
    assert log.read_text() == f"{ERROR}\n"
    assert shown[100:] == [ERROR]


def test_on_a_full_disk_a_long_log_is_cut_without_a_copy(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(log_follow.shutil, "copyfile", full)
    append(log, WARNING)
    previous(log).write_text("half a copy")
    cut(log, limit=10)
    assert log.stat().st_size == 0 and not previous(log).exists()


def test_a_log_that_does_not_exist_is_left_alone(tmp_path: Path) -> None:
    cut(tmp_path / "none.log")
    logs_of(tmp_path / "none.log", print).look()
    assert not list(tmp_path.iterdir())
