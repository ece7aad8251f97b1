"""How many cores this process may use: fewer than the machine has in a limited container or under ``taskset``."""

from __future__ import annotations

import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def usable_cores(*, cgroups: Path = CGROUPS) -> int:
    """Whole cores, at least 1: those that this process may run on, or its CPU quota if that is less.

    More threads than the quota make a process slower: they use up the quota early, and then the kernel stops all of
    them for the rest of each period.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroups)
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def _quota(cgroups: Path) -> float | None:
    """How many cores the control group allows; None if it sets no limit. Reads version 2 of cgroups, else version 1."""
    try:
        limit, period = (cgroups / "cpu.max").read_text(encoding="ascii").split()
    except FileNotFoundError:
        try:
            limit = (cgroups / "cpu/cpu.cfs_quota_us").read_text(encoding="ascii")
            period = (cgroups / "cpu/cpu.cfs_period_us").read_text(encoding="ascii")
        except FileNotFoundError:
            return None
    microseconds = -1 if limit == "max" else int(limit)
    return microseconds / int(period) if microseconds > 0 else None
