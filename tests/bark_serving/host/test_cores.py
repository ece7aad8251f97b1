"""Cores in a container: what its limit allows, not what the machine has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bark_serving.host.cores import usable_cores


@pytest.fixture(autouse=True)
def a_machine_of_sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))


@pytest.mark.parametrize(
    ("limit", "cores"),
    [
        ("max 100000", 16),
        ("400000 100000", 4),
        ("250000 100000", 2),
        ("50000 100000", 1),
        ("9900000 100000", 16),
    ],
)
def test_a_quota_of_cgroups_2_limits_the_cores(tmp_path: Path, limit: str, cores: int) -> None:
    (tmp_path / "cpu.max").write_text(f"{limit}\n")
    assert usable_cores(cgroups=tmp_path) == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", 16), ("300000", 3)])
def test_a_quota_of_cgroups_1_limits_the_cores(tmp_path: Path, quota: str, cores: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert usable_cores(cgroups=tmp_path) == cores


def test_without_control_groups_the_scheduler_decides(tmp_path: Path) -> None:
    assert usable_cores(cgroups=tmp_path) == 16
