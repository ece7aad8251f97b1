"""What the terminal shows while something is spoken: a bar of sentences, or of characters for a long text."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bark_client.cli.terminal import account
from bark_client.long_text import is_long
from bark_client.script import LongState
from bark_client.speech import Chunk
from bark_client.stream import SpeechStream

LINE_INTERVAL_S = 30.0  #: between two lines where there is no terminal


class SpeechProgress(Protocol):
    """Shown in a `with` block; `advance` it with each chunk of the stream."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def advance(self, chunk: Chunk, stream: SpeechStream) -> None: ...


def open_progress(console: Console, text: object) -> SpeechProgress:
    """The progress of speaking `text`. Of one that comes in fragments, nobody knows how much is left."""
    if isinstance(text, str) and is_long(text):
        return LongProgress(console, characters=len(text))
    return SentenceProgress(console)


class SentenceProgress:
    """A bar of sentences, with the seconds of audio so far and the real-time factor. Shown on a terminal only."""

    def __init__(self, console: Console) -> None:
        self._progress = _bar(console)
        self._start = time.monotonic()
        self._audio_seconds = 0.0
        self._task = self._progress.add_task("speaking", total=None, done="", account="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def advance(self, chunk: Chunk, stream: SpeechStream) -> None:
        """Count a chunk."""
        self._audio_seconds += chunk.seconds
        done = chunk.sentences if chunk.last else chunk.sentence
        self._progress.update(
            self._task,
            total=chunk.sentences,
            completed=done,
            done=f"{done}/{chunk.sentences} sentence{'s' * (chunk.sentences > 1)}",
            account=account(seconds=time.monotonic() - self._start, audio_seconds=self._audio_seconds),
        )


class LongProgress:
    """A bar of characters, with the audio so far and the time that is left. A line at times where there is no terminal.

    characters: of the whole text. done, audio_seconds: what was spoken before, by an earlier command.
    """

    def __init__(
        self,
        console: Console,
        *,
        characters: int,
        done: float = 0.0,
        audio_seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console, self._clock = console, clock
        self._total, self._before = characters, done
        self._start = self._last_line = clock()
        self._audio_seconds = audio_seconds
        self._progress = _bar(console)
        self._task = self._progress.add_task("speaking", total=characters, completed=int(done), done="", account="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def advance(self, chunk: Chunk, stream: SpeechStream) -> None:
        """Count a chunk of a long text."""
        assert isinstance(stream, LongState)
        self.show(spoken=stream.spoken_characters, audio_seconds=chunk.seconds)

    def show(self, *, spoken: float, audio_seconds: float, label: str = "speaking") -> None:
        """Count audio. spoken: characters since the start of this command."""
        self._audio_seconds += audio_seconds
        done = min(self._before + spoken, self._total)
        percent = f"{100 * done / max(1, self._total):.0f} %"
        left = self._remaining(spoken, left=self._total - done)
        text = f"{duration(self._audio_seconds)} of audio" + (f", about {duration(left)} left" if left else "")
        self._progress.update(self._task, description=label, completed=done, done=percent, account=text)
        now = self._clock()
        if not self._console.is_terminal and now - self._last_line >= LINE_INTERVAL_S:
            self._last_line = now
            self._console.print(f"{label}: {percent}, {text}", highlight=False, markup=False)

    def _remaining(self, spoken: float, *, left: float) -> float | None:
        """Seconds until the end, if all goes on as fast; None if nothing is spoken yet."""
        return (self._clock() - self._start) * left / spoken if spoken else None


def duration(seconds: float) -> str:
    """`42 s`, `12 min` or `2 h 05 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def _bar(console: Console) -> Progress:
    columns: list[Any] = [
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[done]}", style="progress.percentage"),
        TextColumn("{task.fields[account]}", style="cyan"),
        TimeElapsedColumn(),
    ]
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True, expand=True)
