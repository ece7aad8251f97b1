"""A run: the streams speak, a fault strikes at intervals, and everything that happens is written down."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import psutil

from bark_serving.arrays import Floats
from benchmarks.chaos.faults import Fault, strike
from benchmarks.chaos.server import ServedByCommand, Watch
from benchmarks.chaos.streams import PROBE, Answer, Probe, Streams, cases, solo
from benchmarks.errors import BenchmarkError

CASE_COUNT = 12
PATIENCE_S = 60.0  #: that the service may take to come back; then the server is started again from outside
_INTERVAL_S = 2.0  #: between two readings of the memory


@dataclass(frozen=True)
class Struck:
    """A fault and what it did. Times are in seconds since the start of the run."""

    fault: Fault
    at: float
    back: float | None  #: when the first speech after it was there; None: the server had to be started again
    answers: Sequence[Answer] = ()  #: that ended between this fault and the next one

    @property
    def until_back(self) -> float:
        return PATIENCE_S if self.back is None else self.back - self.at

    @property
    def failed(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.outcome == "failed"]

    @property
    def first_error(self) -> float | None:
        """Seconds from the fault to the first error; None if there was none."""
        return min((answer.ended - self.at for answer in self.failed), default=None)

    @property
    def failed_though_back(self) -> int:
        """How many requests failed that were sent when the service was back."""
        return sum(self.back is not None and answer.sent > self.back for answer in self.failed)


@dataclass(frozen=True)
class Chaos:
    """The outcome of a run."""

    struck: Sequence[Struck]
    answers: Sequence[Answer]  #: of the streams, all of them
    probes_wrong: int  #: sentences of the probes that are not the solo answer
    memory: Sequence[tuple[float, dict[str, int]]]  #: time, and bytes by process
    shared: Sequence[tuple[float, int]]  #: time, and bytes of shared memory
    seconds: float
    processes_left: Sequence[str]
    regions_left: int  #: of shared memory
    notes: Sequence[str] = ()
    whole: bool = True  #: False: it ended early, and a note says why

    @property
    def wrong(self) -> int:
        return self.probes_wrong + sum(answer.wrong for answer in self.answers)

    def failed(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.outcome == "failed"]

    def delay(self, answer: Answer) -> float:
        """Seconds from the fault that a failed request met to its error.

        It is the first fault after which the request had no audio. A request that was sent in an outage met no fault:
        its seconds count from its sending.
        """
        alive = answer.sent if answer.heard is None else answer.heard
        met = [one.at for one in self.struck if alive <= one.at < answer.ended]
        return answer.ended - min(met, default=alive)


def chaos(
    server: ServedByCommand,
    deck: Iterable[Fault],
    *,
    seconds: float,
    every: float,
    streams: int,
    seed: int,
    on_step: Callable[[str], None] = lambda label: None,
) -> Chaos:
    """Run streams and faults on a fresh server, then stop it and look for what it leaves.

    A fault strikes every `every` seconds, but not before the service was back for half that time. The run has no fault
    at its beginning and at its end. It ends after so many `seconds`, or after the last fault of `deck`. It ends early,
    with a note, if the server cannot be started again, or with Ctrl-C. Call it in the main thread.

    Raises `BenchmarkError` if the server fails before the first fault.
    """
    asked = cases(CASE_COUNT)
    alone = solo(server.url, [*asked, PROBE], on_step=on_step)
    begun = time.monotonic()

    def clock() -> float:
        return time.monotonic() - begun

    run = _Run(server, alone[-1], clock=clock, on_step=on_step)
    notes: list[str] = []
    with (
        Watch(server, interval_s=_INTERVAL_S, clock=clock) as watch,
        Streams(server.url, asked, alone, count=streams, seed=seed, clock=clock) as speaking,
    ):
        try:
            run.strike_all(deck, seconds=seconds, every=every, answers=speaking.answers)
        except (BenchmarkError, KeyboardInterrupt) as error:
            reason = error.problem if isinstance(error, BenchmarkError) else "It was interrupted."
            notes.append(f"Only {clock() / 60:.1f} of {seconds / 60:g} min were measured. {reason}")
    taken = clock()
    on_step("stopping the server")
    server.stop()
    return Chaos(
        struck=_attributed(run.struck, speaking.answers),
        answers=speaking.answers,
        probes_wrong=run.wrong,
        memory=watch.memory,
        shared=watch.shared,
        seconds=taken,
        processes_left=[str(process) for process in server.processes_left()],
        regions_left=len(server.regions()),
        notes=[*notes, *run.notes],
        whole=not notes,
    )


class _Run:
    """The faults of a run, one after the other."""

    def __init__(
        self, server: ServedByCommand, alone: Floats, *, clock: Callable[[], float], on_step: Callable[[str], None]
    ) -> None:
        self.struck: list[Struck] = []
        self.notes: list[str] = []
        self.wrong = 0
        self._server, self._alone, self._clock, self._on_step = server, alone, clock, on_step

    def strike_all(self, deck: Iterable[Fault], *, seconds: float, every: float, answers: Sequence[Answer]) -> None:
        due = every
        for fault in deck:
            if due > seconds - every:
                break
            self._wait(due)
            failed = sum(answer.outcome == "failed" for answer in answers)
            so_far = f"{self._clock() / 60:.1f} of {seconds / 60:g} min, {len(answers)} requests, {failed} failed"
            self._on_step(f"{so_far}: {fault.name}")
            self._strike(fault)
            due = max(due + every, self._clock() + every / 2)  # late errors of one fault are not those of the next
        self._wait(due)

    def _wait(self, until: float) -> None:
        if (left := until - self._clock()) > 0:
            time.sleep(left)  # the run is a timetable: nothing else ends this wait

    def _strike(self, fault: Fault) -> None:
        """Do the fault, and wait until the service is back. Start the server again if it stays away."""
        process = self._server.process(fault.target)
        try:
            if process is None:
                raise psutil.NoSuchProcess(0)
            at, end = self._clock(), strike(fault, process)
        except psutil.NoSuchProcess:
            self.notes.append(f"{fault.name} was left out at {self._clock():.0f} s: there was no such process.")
            return
        probe = Probe(self._server.url, self._alone, patience_s=PATIENCE_S, clock=self._clock)
        if fault.seconds:
            time.sleep(fault.seconds)
            end()
        probe.wait(2 * PATIENCE_S)
        self.struck.append(Struck(fault, at, probe.back))
        self.wrong += probe.wrong
        if probe.back is None:
            self._on_step(f"not back within {PATIENCE_S:g} s after {fault.name}: starting it again")
            self._server.stop()
            self._server.start()


def _attributed(struck: Sequence[Struck], answers: Sequence[Answer]) -> list[Struck]:
    """Each fault with the answers that ended before the next one."""
    ends = [*(one.at for one in struck[1:]), np.inf]
    return [
        replace(one, answers=[answer for answer in answers if one.at <= answer.ended < end])
        for one, end in zip(struck, ends, strict=True)
    ]
