"""When Triton is started again after it ended by itself: at once, then more and more rarely, and not for ever."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from bark_serving.host.memory import killed_for_memory
from bark_serving.server import log

SHORT_RUN_S: Final = 10.0  #: a run that ended sooner after its first answer counts like one that failed to start
MAX_SHORT_RUNS: Final = 5  #: one after the other; the next one ends the server
MAX_LINES: Final = 5  #: of the log, in a reason


class Restarts(BaseModel):
    """How often Triton was started again, and why the last time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = 0
    short_runs: int = 0  #: one after the other
    at: float | None = None  #: of the last one: when Triton ended, in seconds since the epoch
    reason: str = ""

    def after(self, reason: str, *, seconds: float) -> Restarts:
        """This record after Triton has ended. seconds: for how long it had answered."""
        short = 0 if seconds >= SHORT_RUN_S else self.short_runs + 1
        return Restarts(count=self.count + 1, short_runs=short, at=time.time(), reason=reason)

    @property
    def exhausted(self) -> bool:
        """Whether Triton should not be started again."""
        return self.short_runs > MAX_SHORT_RUNS

    @property
    def delay_s(self) -> float:
        """Seconds to wait before the start: none at first, then 1, 2, 4 and 8 after each short run."""
        return 0.0 if self.short_runs < 2 else 2.0 ** (self.short_runs - 2)

    def __str__(self) -> str:
        if self.at is None:
            return "none"
        when = datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return f"{self.count}, the last at {when}: {self.reason.splitlines()[0]}"


NO_RESTARTS: Final = Restarts()


def why_not_run(error: OSError) -> str:
    """Why Triton could not be run by this machine, as on a full disk."""
    where = f" ({error.filename})" if error.filename else ""
    return f"Triton could not be run: {(error.strerror or str(error)).lower()}{where}."


def why_ended(status: int, *, pid: int, log_path: Path, oom_kills: int | None) -> str:
    """Why Triton ended: its exit status or signal, whether memory ran out, and the last errors of its log.

    status: as of `subprocess.Popen`, negative for a signal. oom_kills: the count of `host.memory` when it was started.
    """
    if status < 0:
        name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
        ended = f"Triton (pid {pid}) was ended by {name}."
    else:
        ended = f"Triton (pid {pid}) ended by itself, with exit status {status}."
    memory = killed_for_memory(oom_kills)
    errors = [f"  {line}" for line in log.errors(log_path, limit=MAX_LINES)]
    return "\n".join([ended + (f" {memory}" if memory else ""), *errors])
