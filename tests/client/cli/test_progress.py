"""The progress of a long text, where there is no terminal and where there is one."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from bark_client.cli.progress import LINE_INTERVAL_S, LongProgress, duration


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=120)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_without_a_terminal_there_is_a_line_at_times() -> None:
    clock, log = Clock(), console(terminal=False)
    with LongProgress(log, characters=10_000, clock=clock) as progress:
        for spoken in (500, 1_000, 1_500, 2_000):
            clock.now += LINE_INTERVAL_S / 2
            progress.show(spoken=spoken, audio_seconds=40.0)
    assert written(log).splitlines() == [
        "speaking: 10 %, 1 min of audio, about 4 min left",
        "speaking: 20 %, 3 min of audio, about 4 min left",
    ]


def test_the_time_left_counts_what_this_command_spoke() -> None:
    clock, log = Clock(), console(terminal=False)
    with LongProgress(log, characters=10_000, done=8_000, audio_seconds=400, clock=clock) as progress:
        clock.now += 60
        progress.show(spoken=1_000, audio_seconds=50.0, label="chapter 3")
    assert written(log) == "chapter 3: 90 %, 8 min of audio, about 1 min left\n"


def test_on_a_terminal_there_is_a_bar_and_no_line() -> None:
    clock, screen = Clock(), console(terminal=True)
    with LongProgress(screen, characters=10_000, clock=clock) as progress:
        clock.now += 60
        progress.show(spoken=2_500, audio_seconds=50.0)
    assert "25 %" in written(screen) and "about 3 min left" in written(screen)
    assert "speaking: 25 %" not in written(screen)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59.4, "59 s"), (61, "1 min"), (3_599, "1 h 00 min"), (7_500, "2 h 05 min")]
)
def test_durations_are_short_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
