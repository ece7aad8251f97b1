"""Reads Triton's log: which models are loaded, and which lines explain a failure."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable
from pathlib import Path

#: An entry in --log-format=ISO8601, or one of a stub, which knows only the older format.
_ENTRY = re.compile(r"^(?:\S+Z (?P<level>[IWEF]) \d+|(?P<stub>[IWEF])\d{4} \S+ \d+) \S+?:\d+\] *(?P<text>.*)$")
_LOADED = re.compile(r"successfully loaded '([^']+)'")
#: Tables, what Triton says of a machine without a GPU, the frames of a native stack, empty lines.
_NOISE = re.compile(r"^[+|]|CudaDriverHelper|CUDA driver version|^\s*\d+# |^\s*$")
_OWN = re.compile(r"^\S+Z bark-serve: ")
#: Triton names a process ``<model>_<instance>_<device>``.
_GIVEN_UP = re.compile(r"Stub process '(\w+)_\d+_\d+' is not healthy")


def rotate(log: Path) -> None:
    """Begin a new log. The previous one is kept as ``*.previous.log``."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        file = log.resolve()  # if it is a link, it stays one
        file.replace(previous(file))
    log.touch()


def previous(log: Path) -> Path:
    """The log of the run before, or the part of a long log before this one."""
    return log.with_suffix(".previous.log")


def note(log: Path, message: str) -> None:
    """Append a line of the supervisor. If the disk is full, the line is lost and the server goes on."""
    with contextlib.suppress(OSError), log.open("a", encoding="utf-8") as file:
        file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} bark-serve: {message}\n")


def loaded_models(log: Path) -> set[str]:
    """The models that are loaded. Triton opens its ports after the last one, so until then only its log says so."""
    return set(_LOADED.findall(log.read_text(encoding="utf-8", errors="replace")))


def drained(log: Path) -> bool:
    """Whether Triton has finished its last inference after it was told to stop."""
    return "All models are stopped, unloading" in log.read_text(encoding="utf-8", errors="replace")


def tells(line: str) -> bool:
    """Whether a line tells of a warning or an error: it is no informational entry, table or the like."""
    entry = _ENTRY.match(line)
    if entry and "I" in (entry["level"], entry["stub"]):
        return False
    return not _NOISE.search(entry["text"].strip('"') if entry else line)


def given_up(lines: Iterable[str]) -> set[str]:
    """The models of the processes that Triton has given up, by these lines. A process may still run."""
    return {model for line in lines for model in _GIVEN_UP.findall(line)}


def relevant_lines(log: Path, *, limit: int = 20) -> list[str]:
    """The last `limit` lines that may explain a failure: errors, and output that is not in Triton's format.

    Informational entries, tables and repeated lines are left out. Triton writes a newline in a message as ``\\n``.
    """
    return _lines(log, without="I")[-limit:]


def errors(log: Path, *, limit: int) -> list[str]:
    """The last `limit` lines that tell of errors: like `relevant_lines`, without warnings."""
    return _lines(log, without="IW")[-limit:]


def _lines(log: Path, *, without: str) -> list[str]:
    """The lines of all entries, except those of the levels `without`. A repeated line is given once."""
    lines: list[str] = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        entry = _ENTRY.match(line)
        if _OWN.match(line) or (entry and (entry["level"] or entry["stub"]) in without):
            continue
        text = entry["text"].strip('"') if entry else line
        lines += [part for part in text.replace("\\n", "\n").splitlines() if not _NOISE.search(part)]
    return list(dict.fromkeys(lines))
