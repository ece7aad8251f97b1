"""Keeps a server's log small while it runs, and shows its warnings and errors where nobody looks into the file.

Triton writes into the file itself and never opens it again. So the file cannot be renamed. It is copied and cut to
nothing; a writer in append mode then goes on at its new end.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from bark_serving.server.log import given_up, previous, tells
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
    """Reads a log as it is written."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._place = 0
        self._unfinished = b""

    def new_lines(self) -> list[str]:
        """The lines that have been written since the last look."""
        try:
            with self.log.open("rb") as file:
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
    """The logs of a running server and its gateway. Both are kept small; `show` gets what Triton's log tells."""

    def __init__(self, settings: ServerSettings, *, show: Callable[[str], None] | None) -> None:
        self._paths = (settings.log_path, settings.gateway_log_path)
        self._follower, self._show = Follower(settings.log_path), show

    def look(self) -> set[str]:
        """Show the new warnings and errors. Returns the models whose process Triton has given up, by the new lines."""
        lines = self._follower.new_lines()
        if self._show:
            show_telling(lines, log=self._follower.log, show=self._show)
        for path in self._paths:
            cut(path)
        return given_up(lines)


def show_telling(lines: Iterable[str], *, log: Path, show: Callable[[str], None]) -> None:
    """Show those of a log's lines that tell of a warning or an error, at most `MAX_LINES` of them."""
    telling = [line for line in lines if tells(line)]
    for line in telling[:MAX_LINES]:
        show(line[:MAX_LINE_CHARACTERS])
    if len(telling) > MAX_LINES:
        show(f"{len(telling) - MAX_LINES} more lines are in {log}")
