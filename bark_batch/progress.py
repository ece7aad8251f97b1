"""What a job shows: a bar on a terminal, a line at times elsewhere, and a summary at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bark_batch import desk
from bark_client.cli.progress import LINE_INTERVAL_S, duration

_MAX_ERRORS: Final = 5  #: different ones that the summary shows


class JobProgress:
    """Rows that are done, audio, and the time that is left. Use it in a `with` block.

    total: rows of the job. done, audio_seconds: of shards that were done before.
    """

    def __init__(
        self,
        console: Console,
        *,
        total: int,
        done: int,
        audio_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console, self._total, self._done, self._clock = console, total, done, clock
        self._audio_seconds = audio_seconds
        self._start: float | None = None  # when the first request was sent: Ray takes a while before it
        self._last_line = clock()
        self._missing: dict[str, str] = {}
        columns: list[Any] = [
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[account]}", style="cyan"),
            TimeElapsedColumn(),
        ]
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal, transient=True, expand=True)
        self._task = self._bar.add_task("speaking", total=total, completed=done, account="starting Ray …")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def show(self, now: desk.Progress) -> None:
        """Show how far the job is."""
        self._tell_missing(now.missing)
        done = min(self._done + now.rows, self._total)
        text = self._words(now, done)
        self._bar.update(self._task, completed=done, account=text)
        if not self._console.is_terminal and self._clock() - self._last_line >= LINE_INTERVAL_S:
            self._last_line = self._clock()
            self._console.print(text, highlight=False, markup=False)

    def _words(self, now: desk.Progress, done: int) -> str:
        if self._start is None and (now.rows or now.in_flight):
            self._start = self._clock()
        elapsed = self._clock() - (self._clock() if self._start is None else self._start)
        parts = [f"{done} of {self._total} rows", f"{duration(self._audio_seconds + now.audio_seconds)} of audio"]
        if now.failed:
            parts.append(f"{now.failed} failed")
        if now.audio_seconds and elapsed:
            parts.append(f"real-time factor {elapsed / now.audio_seconds:.3g}")
        if now.audio_seconds and elapsed and done < self._total:
            parts.append(f"about {duration(elapsed * (self._total - done) / now.rows)} left")
        return ", ".join(parts)

    def _tell_missing(self, missing: dict[str, str]) -> None:
        """Say once when a server leaves, and once when it comes back."""
        for url in missing.keys() - self._missing.keys():
            self._console.print(f"{url} gets no rows: {missing[url]}", highlight=False, markup=False)
        for url in self._missing.keys() - missing.keys():
            self._console.print(f"{url} answers again", highlight=False, markup=False)
        self._missing = missing


def summary(accounts: Iterable[dict[str, Any]], *, seconds: float, spoken_seconds: float) -> list[str]:
    """What a job made, in lines. seconds: that this run took; spoken_seconds: of audio that it made."""
    accounts = list(accounts)
    rows, failed, audio, pieces, takes = (
        sum(one[name] for one in accounts) for name in ("rows", "failed", "audio_seconds", "pieces", "takes")
    )
    errors, verdicts = Counter[str](), Counter[str]()
    for one in accounts:
        errors.update(one["errors"])
        verdicts.update(one["verdicts"])
    lines = [f"{rows} rows in {len(accounts)} files: {audio / 3600:.3g} hours of audio"]
    if spoken_seconds:
        lines.append(
            f"this run: {duration(spoken_seconds)} of audio in {duration(seconds)}, "
            f"real-time factor {seconds / spoken_seconds:.3g}"
        )
    if pieces:
        kinds = ", ".join(f"{verdict} {count}" for verdict, count in verdicts.most_common())
        lines.append(f"verdicts on {pieces} pieces: {kinds}; {takes / pieces:.3g} takes per piece")
    if failed:
        lines.append(f"failed rows: {failed}. They are in the files, with their error:")
        lines += [f"  {count} × {error}" for error, count in errors.most_common(_MAX_ERRORS)]
        if len(errors) > _MAX_ERRORS:
            lines.append(f"  and {len(errors) - _MAX_ERRORS} other errors")
    return lines
