"""How much memory this process may use, and how often the kernel has killed a process for want of it.

In a container the control group decides. Both versions of control groups are read: in version 2 ``memory.max`` and
``memory.events``, in version 1 ``memory.limit_in_bytes`` and ``memory.oom_control`` of the controller ``memory``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from bark_serving.host.cores import CGROUPS

PROC = Path("/proc")

_COUNTS = ("memory.events", "memory.oom_control")  #: version 2, version 1
_LIMITS = ("memory.max", "memory.limit_in_bytes")


def oom_kills(*, cgroups: Path = CGROUPS, proc: Path = PROC) -> int | None:
    """How many processes of this process's control group the kernel has killed because memory ran out.

    The count never falls while the group exists, so compare two of them. Kills by a limit of a group and by the
    machine's own shortage are counted alike. Without control groups it is the machine's count. None: nobody counts.
    """
    counts = [*(folder / name for folder in _groups(cgroups, proc) for name in _COUNTS), proc / "vmstat"]
    for path in counts:
        if (found := re.search(r"^oom_kill (\d+)$", _text(path), re.MULTILINE)) is not None:
            return int(found[1])
    return None


def memory_limit(*, cgroups: Path = CGROUPS, proc: Path = PROC) -> int:
    """Bytes that the processes of this control group may use together: the least limit above it, or all memory."""
    limits = [_text(folder / name).strip() for folder in _groups(cgroups, proc) for name in _LIMITS]
    total = re.search(r"^MemTotal: +(\d+) kB$", _text(proc / "meminfo"), re.MULTILINE)
    machine = int(total[1]) * 1024 if total else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *(int(limit) for limit in limits if limit.isdigit())])


def killed_for_memory(before: int | None, *, cgroups: Path = CGROUPS, proc: Path = PROC) -> str | None:
    """One sentence if the kernel has killed a process for want of memory since `oom_kills` was `before`; else None."""
    now = oom_kills(cgroups=cgroups, proc=proc)
    if before is None or now is None or now <= before:
        return None
    count = "a process" if now == before + 1 else f"{now - before} processes"
    limit = memory_limit(cgroups=cgroups, proc=proc)
    return f"The kernel killed {count}, because memory ran out: all processes here may use {mebibytes(limit)} together."


def mebibytes(size: int) -> str:
    """A size for people, as in ``400 MiB`` or ``7.5 GiB``."""
    return f"{size / 2**20:.0f} MiB" if size < 2**30 else f"{size / 2**30:.1f} GiB"


def _groups(cgroups: Path, proc: Path) -> Iterator[Path]:
    """The folders of this process's control group and of those above it, innermost first.

    ``/proc/self/cgroup`` names the group from the machine's root. A container may see its own group as the root: then
    there is no folder of that name, and the root's files are its own.
    """
    for line in _text(proc / "self/cgroup").splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = cgroups / "memory" if controllers else cgroups
        inner = root / name.lstrip("/")
        yield from (folder for folder in (inner, *inner.parents) if folder.is_relative_to(root) and folder != root)
        yield root


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:  # there is no such file, or this process may not read it
        return ""
