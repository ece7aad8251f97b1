"""Keeps a server's log small while it runs, and shows its warnings and errors where nobody looks into the file.

Triton writes into the file itself and never opens it again. So the file cannot be renamed. It is copied and cut to
nothing; a writer in append mode then goes on at its new end.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from bark_serving.server.log import previous, tells
from bark_serving.server.settings import ServerSettings

MAX_LOG_BYTES = 32 * 2**20  #: of a log; the part before it is kept in a second file of at most this size
MAX_LINES = 100  #: that are shown at one look; the log has the others
MAX_LINE_CHARACTERS = 2_000
_MAX_READ_BYTES = 2**20  #: at one look


def cut(log: Path, *, limit: int = MAX_LOG_BYTES) -> None:
    """Begin the log anew if it has more than `limit` bytes. What it held is kept as ``*.previous.log``.

    Lines that are written in this moment may be lost. On a full disk the old part is lost instead of the room.
    """
    try:
        if log.stat().st_size <= limit:
            return
    except FileNotFoundError:
        return
    kept = previous(log)
    try:
        shutil.copyfile(log, kept)
    except OSError:
        kept.unlink(missing_ok=True)
    os.truncate(log, 0)


class Follower:
    """Shows the lines of a log that tell of a warning or an error, as they are written."""

    def __init__(self, log: Path, *, show: Callable[[str], None]) -> None:
        self._log, self._show = log, show
        self._place = 0
        self._unfinished = b""

    def look(self) -> None:
        """Show what has been written since the last look: at most `MAX_LINES` lines."""
        lines = [line for line in self._new_lines() if tells(line)]
        for line in lines[:MAX_LINES]:
            self._show(line[:MAX_LINE_CHARACTERS])
        if len(lines) > MAX_LINES:
            self._show(f"{len(lines) - MAX_LINES} more lines are in {self._log}")

    def _new_lines(self) -> list[str]:
        try:
            with self._log.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size < self._place:  # it was cut
                    self._place, self._unfinished = 0, b""
                # of a flood only the end is read
                self._place = max(self._place, size - _MAX_READ_BYTES)
                file.seek(self._place)
                data = file.read(_MAX_READ_BYTES)
        except FileNotFoundError:
            return []
        self._place += len(data)
        *whole, self._unfinished = (self._unfinished + data).split(b"\n")
        return [line.decode("utf-8", errors="replace") for line in whole]


class Logs:
    """The logs of a running server and its gateway: Triton's is shown if `show` is given; both are kept small."""

    def __init__(self, settings: ServerSettings, *, show: Callable[[str], None] | None) -> None:
        self._paths = (settings.log_path, settings.gateway_log_path)
        self._follower = Follower(settings.log_path, show=show) if show else None

    def look(self) -> None:
        if self._follower:
            self._follower.look()
        for path in self._paths:
            cut(path)
