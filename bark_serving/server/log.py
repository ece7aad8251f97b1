"""Reading Triton's log: which models are loaded, and what of it explains a failure."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path

#: An entry of --log-format=ISO8601, or of a stub, which knows the older format only.
_ENTRY = re.compile(r"^(?:\S+Z (?P<level>[IWEF]) \d+|(?P<stub>[IWEF])\d{4} \S+ \d+) \S+?:\d+\] *(?P<text>.*)$")
_LOADED = re.compile(r"successfully loaded '([^']+)'")
_NOISE = re.compile(r"^[+|]|CudaDriverHelper|^\s*$")


def rotate(log: Path) -> None:
    """Begin a new log; the one before it stays as ``*.previous.log``."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        file = log.resolve()  # a link stays one
        file.replace(file.with_suffix(".previous.log"))
    log.touch()


def note(log: Path, message: str) -> None:
    """Append a line of the supervisor's own. A full disk costs the line, not the server."""
    with contextlib.suppress(OSError), log.open("a", encoding="utf-8") as file:
        file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} bark-serve: {message}\n")


def loaded_models(log: Path) -> set[str]:
    """Models that Triton says it has loaded. It opens no port before the last, so only its log tells."""
    return set(_LOADED.findall(log.read_text(encoding="utf-8", errors="replace")))


def drained(log: Path) -> bool:
    """Whether Triton, being asked to end, has finished its last inference."""
    return "All models are stopped, unloading" in log.read_text(encoding="utf-8", errors="replace")


def relevant_lines(log: Path, *, limit: int = 20) -> list[str]:
    """The last lines that explain a failure: errors, and what was printed outside Triton's own format.

    Informational entries and tables are left out, repetitions too. Triton writes newlines inside a message as ``\\n``.
    """
    lines: list[str] = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        entry = _ENTRY.match(line)
        if entry and "I" in (entry["level"], entry["stub"]):
            continue
        text = entry["text"].strip('"') if entry else line
        lines += [part for part in text.replace("\\n", "\n").splitlines() if not _NOISE.search(part)]
    return list(dict.fromkeys(lines))[-limit:]
