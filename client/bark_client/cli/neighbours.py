"""Servers of this machine on other ports, for the message that none answers where the command looked.

`bark-serve` knows them. The client does not import it, and may be installed without it: the command is asked, if it is
here.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

_COMMAND: Final = "bark-serve"
_TIMEOUT_S: Final = 10.0
_HERE: Final = ("localhost", "127.0.0.1", "[::1]")


def neighbours(nobody_at: str) -> str:
    """What to say where no server answers: those that run here. Nothing if there are none, or for another machine."""
    host, _, asked = nobody_at.rpartition(":")
    if host not in _HERE or sys.platform == "win32":  # it runs on Linux; Windows would look for it in the folder, too
        return ""
    ports = {one["name"]: one["ports"]["grpc-port"] for one in _running()}
    running = [f"{name} (--url localhost:{port})" for name, port in ports.items() if str(port) != asked]
    return f". Running here: {', '.join(running)}" if running else ""


def _running() -> list[dict[str, Any]]:
    """The servers that `bark-serve status` lists."""
    beside = Path(sys.executable).with_name(_COMMAND)
    command = shutil.which(_COMMAND) or (str(beside) if beside.exists() else None)
    if command is None:
        return []
    try:
        answer = subprocess.run(
            [command, "status", "--json"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        listed = json.loads(answer.stdout)
        return [one for one in listed if isinstance(one["ports"]["grpc-port"], int) and one["name"]]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):  # it is of another version, or broken
        return []
