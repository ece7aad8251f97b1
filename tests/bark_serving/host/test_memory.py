"""Memory in a container: the limit, and how often the kernel has killed a process for want of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bark_serving.host.memory import killed_for_memory, memory_limit, oom_kills

TOTAL = 16 * 2**30


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A machine of 16 GiB whose kernel has killed seven processes."""
    folder = tmp_path / "proc"
    (folder / "self").mkdir(parents=True)
    (folder / "meminfo").write_text(f"MemTotal:       {TOTAL // 1024} kB\nMemFree:        1000 kB\n")
    (folder / "vmstat").write_text("nr_free_pages 10\noom_kill 7\n")
    return folder


def group(folder: Path, *, version: int, limit: str, kills: int) -> None:
    """A control group's files."""
    folder.mkdir(parents=True, exist_ok=True)
    if version == 2:
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.events").write_text(f"low 0\nhigh 0\nmax 91\noom 3\noom_kill {kills}\noom_group_kill 0\n")
    else:
        (folder / "memory.limit_in_bytes").write_text(f"{limit}\n")
        (folder / "memory.oom_control").write_text(f"oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n")


@pytest.mark.parametrize(
    ("version", "line", "folder"),
    [
        (2, "0::/", ""),
        (2, "0::/system.slice/bark.service", "system.slice/bark.service"),
        (2, "0::/docker/123", ""),  # a container sees its own group as the root
        (1, "0::/\n4:memory:/docker/123\n1:cpu:/", "memory/docker/123"),
        (1, "9:memory,hugetlb:/docker/123", "memory"),
    ],
)
def test_the_groups_limit_and_kills_are_read(tmp_path: Path, proc: Path, version: int, line: str, folder: str) -> None:
    (proc / "self/cgroup").write_text(f"{line}\n")
    cgroups = tmp_path / "cgroup"
    group(cgroups / folder, version=version, limit="419430400", kills=2)
    assert oom_kills(cgroups=cgroups, proc=proc) == 2
    assert memory_limit(cgroups=cgroups, proc=proc) == 400 * 2**20


def test_the_least_limit_above_a_group_counts(tmp_path: Path, proc: Path) -> None:
    (proc / "self/cgroup").write_text("0::/machine/bark\n")
    cgroups = tmp_path / "cgroup"
    group(cgroups / "machine", version=2, limit=str(2**30), kills=5)
    group(cgroups / "machine/bark", version=2, limit="max", kills=1)
    assert memory_limit(cgroups=cgroups, proc=proc) == 2**30
    assert oom_kills(cgroups=cgroups, proc=proc) == 1


def test_a_limit_above_the_machines_memory_is_none(tmp_path: Path, proc: Path) -> None:
    (proc / "self/cgroup").write_text("4:memory:/\n")
    group(tmp_path / "memory", version=1, limit="9223372036854771712", kills=0)
    assert memory_limit(cgroups=tmp_path, proc=proc) == TOTAL


def test_without_control_groups_the_machine_counts(tmp_path: Path, proc: Path) -> None:
    assert oom_kills(cgroups=tmp_path, proc=proc) == 7
    assert memory_limit(cgroups=tmp_path, proc=proc) == TOTAL


def test_a_kill_is_said_in_words_with_the_limit(tmp_path: Path, proc: Path) -> None:
    (proc / "self/cgroup").write_text("0::/\n")
    group(tmp_path, version=2, limit="419430400", kills=2)
    said = killed_for_memory(0, cgroups=tmp_path, proc=proc)
    assert said == (
        "The kernel killed 2 processes, because memory ran out: all processes here may use 400 MiB together."
    )


@pytest.mark.parametrize("before", [2, None])
def test_no_new_kill_says_nothing(tmp_path: Path, proc: Path, before: int | None) -> None:
    (proc / "self/cgroup").write_text("0::/\n")
    group(tmp_path, version=2, limit="max", kills=2)
    assert killed_for_memory(before, cgroups=tmp_path, proc=proc) is None
