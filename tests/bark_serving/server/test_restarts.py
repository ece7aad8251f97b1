"""When Triton is started again, and what is said of its end."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from bark_serving.server import restarts
from bark_serving.server.restarts import MAX_SHORT_RUNS, NO_RESTARTS, SHORT_RUN_S, why_ended


def test_restarts_come_at_once_then_more_rarely_and_end() -> None:
    record, delays = NO_RESTARTS, []
    for _ in range(MAX_SHORT_RUNS):
        record = record.after("it died", seconds=0)
        delays.append(record.delay_s)
        assert not record.exhausted
    assert delays == [0, 1, 2, 4, 8]
    assert record.after("it died", seconds=0).exhausted


def test_a_server_that_ran_for_a_while_starts_at_once_again() -> None:
    record = NO_RESTARTS
    for _ in range(3 * MAX_SHORT_RUNS):
        record = record.after("it died", seconds=SHORT_RUN_S)
        assert record.delay_s == 0 and not record.exhausted
    assert record.count == 3 * MAX_SHORT_RUNS
    assert str(record).startswith(f"{record.count}, the last at ") and str(record).endswith("it died")


LOG = r"""2026-11-22T14:41:17Z W 13792 pinned_memory_manager.cc:273] "CUDA driver version is insufficient"
2026-11-22T14:41:17Z E 13792 cuda_memory_manager.cc:40] "CUDA driver version is insufficient for CUDA runtime version"
2026-11-22T14:41:17Z I 13792 model_lifecycle.cc:839] "successfully loaded 'echo'"
2026-11-22T14:41:18Z bark-serve: model echo: reloaded in 1.0 s
"""
ABORT = """terminate called after throwing an instance of 'boost::interprocess::lock_exception'
  what():  boost::interprocess::lock_exception
Signal (6) received.
""" + "".join(f"{number:2}# 0x00007F483224524A in /lib/x86_64-linux-gnu/libc.so.6\n" for number in range(12))


@pytest.mark.parametrize(
    ("status", "log", "said"),
    [
        (-signal.SIGKILL, LOG, "Triton (pid 7) was ended by SIGKILL."),
        (3, LOG, "Triton (pid 7) ended by itself, with exit status 3."),
        (-signal.SIGABRT, LOG + ABORT, "Triton (pid 7) was ended by SIGABRT.\n  terminate called after throwing"),
    ],
)
def test_the_end_is_told_by_signal_and_last_errors(tmp_path: Path, status: int, log: str, said: str) -> None:
    path = tmp_path / "bark.log"
    path.write_text(log)
    reason = why_ended(status, pid=7, log_path=path, oom_kills=None)
    assert reason.startswith(said)
    assert "CUDA" not in reason and "bark-serve" not in reason
    assert ("lock_exception" in reason) == (ABORT in log)
    assert "libc.so" not in reason, "the frames of a stack would hide the reason"


def test_a_kill_for_want_of_memory_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bark.log"
    path.write_text(LOG)
    monkeypatch.setattr(restarts, "killed_for_memory", lambda before: "Memory ran out." if before == 4 else None)
    assert why_ended(-9, pid=7, log_path=path, oom_kills=4) == "Triton (pid 7) was ended by SIGKILL. Memory ran out."
