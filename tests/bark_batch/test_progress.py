from __future__ import annotations

import io

from rich.console import Console

from bark_batch.desk import Progress
from bark_batch.progress import JobProgress, summary

ACCOUNT = {
    "rows": 50, "failed": 2, "errors": {"a": 1, "b": 1}, "audio_seconds": 1800.0, "pieces": 60, "takes": 66,
    "verdicts": {"good": 58, "cut": 2},
}  # fmt: skip


def test_a_log_file_gets_a_line_at_times_and_each_lost_server_once() -> None:
    log, now = io.StringIO(), [0.0]
    console = Console(file=log, width=200)
    progress = JobProgress(console, total=100, done=20, audio_seconds=200.0, clock=lambda: now[0])
    for second in range(0, 91, 10):
        now[0], rows = float(second), max(0, second - 20)  # Ray takes 20 s before the first request
        progress.show(Progress(rows=rows, audio_seconds=10.0 * rows, in_flight=rows, missing={"a:1": "refused"}))
    now[0] = 100.0
    progress.show(Progress(rows=80))
    assert log.getvalue().splitlines() == [
        "a:1 gets no rows: refused",
        "30 of 100 rows, 5 min of audio",
        "60 of 100 rows, 10 min of audio, real-time factor 0.075, about 30 s left",
        "90 of 100 rows, 15 min of audio, real-time factor 0.0857, about 9 s left",
        "a:1 answers again",
    ]


def test_the_summary_adds_up_all_shards() -> None:
    assert summary([ACCOUNT, ACCOUNT], seconds=600.0, spoken_seconds=1800.0) == [
        "100 rows in 2 files: 1 hours of audio",
        "this run: 30 min of audio in 10 min, real-time factor 0.333",
        "verdicts on 120 pieces: good 116, cut 4; 1.1 takes per piece",
        "failed rows: 4. They are in the files, with their error:",
        "  2 × a",
        "  2 × b",
    ]


def test_a_summary_shows_the_commonest_errors_only() -> None:
    many = {**ACCOUNT, "errors": {str(number): number for number in range(1, 9)}}
    lines = summary([many], seconds=1.0, spoken_seconds=0.0)
    assert lines[-2:] == ["  4 × 4", "  and 3 other errors"]
