"""Too little memory or shared memory: what is found and needed is said, and what gives more."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bark_serving.engines.served_files import ServedFile
from bark_serving.server import ServerSettings, canary, resources
from bark_serving.server.errors import ResourcesMissing, StartFailed
from bark_serving.server.process import StopRequest
from bark_serving.server.repository import RENDERED_FILE, Rendered
from bark_serving.server.resources import check_shared_memory, needed_memory, too_little_memory

MIB = 2**20


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    """Three models, two of which are Python processes, and one file of 100 MiB."""
    repository = tmp_path / "repository"
    for name, backend in (("bark", "python"), ("fine", "python"), ("semantic", "tensorrtllm")):
        (repository / name).mkdir(parents=True)
        (repository / name / "config.pbtxt").write_text(f'backend: "{backend}"\n')
    file = ServedFile(path=Path("/x"), sha256="", size=100 * MIB, remedy="")
    rendered = Rendered(bundle="x", profile="cpu", precision="int8", files=(file,))
    (repository / RENDERED_FILE).write_text(rendered.model_dump_json())
    log = tmp_path / "bark.log"
    log.write_text("E1128 12:00:00.000000 1 x.cc:1] Stub process 'fine_0_0' is not healthy.\n")
    return ServerSettings(repository=repository, folder=tmp_path, log=log, start_timeout=0.3)


def room(monkeypatch: pytest.MonkeyPatch, *, free: int, total: int = 64 * MIB) -> None:
    block = 4096
    status = os.statvfs_result((block, block, total // block, free // block, free // block, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: status)


def test_a_small_dev_shm_is_refused_with_what_is_found_and_needed(
    settings: ServerSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room(monkeypatch, free=2 * MIB)
    check_shared_memory(settings, folder=tmp_path)
    room(monkeypatch, free=1 * MIB, total=3 * MIB)
    with pytest.raises(ResourcesMissing, match=r"has 1 MiB free of 3 MiB; 2 models need 2 MiB to start.*--shm-size 1g"):
        check_shared_memory(settings, folder=tmp_path)


def test_a_dev_shm_that_can_not_be_written_is_refused(
    settings: ServerSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ResourcesMissing, match=rf"{tmp_path} cannot be written by user \d+"):
        check_shared_memory(settings, folder=tmp_path)


def test_less_memory_than_needed_is_said_before_the_start(
    settings: ServerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert needed_memory(settings) == 200 * MIB
    monkeypatch.setattr(resources, "memory_limit", lambda: 150 * MIB)
    assert too_little_memory(settings) == (
        "All processes here may use 150 MiB of memory; this server needs about 200 MiB"
    )
    monkeypatch.setattr(resources, "memory_limit", lambda: 200 * MIB)
    assert too_little_memory(settings) is None


def failed_start(settings: ServerSettings, *, ended: bool = True) -> StartFailed:
    with pytest.raises(StartFailed) as raised:
        canary.wait_until_answering(
            settings, oom_kills=None, ended=lambda: ended, stop=StopRequest(), report=lambda message: None
        )
    return raised.value


def test_a_start_that_ran_out_of_memory_says_so_first(
    settings: ServerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "The kernel killed 2 processes, because memory ran out: all processes here may use 150 MiB together."
    monkeypatch.setattr(resources, "killed_for_memory", lambda before: said)
    error = failed_start(settings)
    first, *rest = error.problem.splitlines()
    assert first == f"{said} This server needs about 200 MiB."
    assert "  Stub process 'fine_0_0' is not healthy." in rest
    assert "BARK_MEMORY=8g" in error.remedy and "--start-timeout" not in error.remedy


@pytest.mark.parametrize(("ended", "slow"), [(True, False), (False, True)])
def test_only_a_slow_start_is_told_to_take_more_time(settings: ServerSettings, ended: bool, slow: bool) -> None:
    assert ("--start-timeout" in failed_start(settings, ended=ended).remedy) == slow
