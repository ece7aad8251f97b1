"""`chaos`: the faults, what a client notes of each answer, and the table of targets. tests/system breaks a server."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice, product
from pathlib import Path
from typing import Any, cast

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bark_client import BarkClient
from benchmarks.chaos import report
from benchmarks.chaos.faults import KINDS, TARGETS, Fault, chosen, deck, strike
from benchmarks.chaos.measure import PATIENCE_S, Chaos, Struck, _attributed, chaos
from benchmarks.chaos.server import ServedByCommand
from benchmarks.chaos.streams import PROBE, Answer, ask
from benchmarks.cli import app
from benchmarks.errors import BenchmarkError
from benchmarks.tables import Table
from tests.benchmarks.made import result
from tests.client import fake_triton
from tests.client.fake_triton import FakeTriton


@given(seed=st.integers(0, 2**32), names=st.sets(st.sampled_from(sorted(KINDS)), min_size=1))
def test_each_fault_comes_once_before_any_comes_again(seed: int, names: set[str]) -> None:
    pairs = chosen(sorted(names))
    drawn = list(islice(deck(pairs, seed=seed), 2 * len(pairs)))
    for half in (drawn[: len(pairs)], drawn[len(pairs) :]):
        assert sorted((fault.kind, fault.target) for fault in half) == sorted(pairs)
    assert drawn == list(islice(deck(pairs, seed=seed), 2 * len(pairs))), "the seed decides the order"
    assert all((fault.seconds is None) == (fault.kind in ("kill", "hang")) for fault in drawn)


def test_faults_are_chosen_by_kind_or_with_their_process() -> None:
    assert chosen(None) == list(product(KINDS, TARGETS))
    assert chosen(["kill", "stop bark"]) == [*(("kill", target) for target in TARGETS), ("stop", "bark")]
    with pytest.raises(BenchmarkError, match="no fault 'kill hubert'"):
        chosen(["stop", "kill hubert"])


@pytest.fixture
def victim() -> Iterator[psutil.Process]:
    """A process with two threads that do nothing."""
    threads = "import threading; threading.Thread(target=threading.Event().wait).start(); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", threads], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield psutil.Process(child.pid)
        child.kill()


def _becomes(process: psutil.Process, *, stopped: bool) -> bool:
    """Whether it is so within some seconds: a signal takes its time."""
    deadline = time.monotonic() + 10
    while (process.status() == psutil.STATUS_STOPPED) is not stopped and time.monotonic() < deadline:
        time.sleep(0.01)
    return (process.status() == psutil.STATUS_STOPPED) is stopped


def test_a_stopped_process_goes_on_and_a_hung_one_does_not(victim: psutil.Process) -> None:
    end = strike(Fault("stop", "bark", 0.1), victim)
    assert _becomes(victim, stopped=True)
    end()
    assert _becomes(victim, stopped=False)
    strike(Fault("hang", "bark"), victim)()
    assert _becomes(victim, stopped=True)
    strike(Fault("kill", "bark"), victim)()
    assert victim.wait(10) != 0
    end()  # nothing is left to go on


def test_a_starving_process_shares_one_core_until_the_end(victim: psutil.Process) -> None:
    cores = {thread.id: psutil.Process(thread.id).cpu_affinity() for thread in victim.threads()}
    end = strike(Fault("starve", "bark", 5.0), victim)
    pinned = [psutil.Process(thread.id).cpu_affinity() for thread in victim.threads()]
    rivals = [child for child in psutil.Process().children() if "monotonic" in " ".join(child.cmdline())]
    end()
    assert pinned == [[max(next(iter(cores.values())))]] * 2
    assert len(rivals) == 16 and not any(rival.is_running() for rival in rivals)
    assert {thread.id: psutil.Process(thread.id).cpu_affinity() for thread in victim.threads()} == cores


def test_an_answer_is_compared_with_its_solo_answer(triton: FakeTriton) -> None:
    with BarkClient(triton.url) as client:
        alone = client.speak(PROBE.text, **PROBE.options).samples
        same = ask(client, PROBE, alone, clock=lambda: 1.0)
        other = ask(client, PROBE, alone + np.float32(1e-6), clock=lambda: 1.0)
        longer = ask(client, PROBE, alone[:-1], clock=lambda: 1.0)
    assert same == Answer(1.0, 1.0, "finished", heard=1.0)
    assert other.wrong and longer.wrong


@pytest.mark.parametrize(
    ("message", "worded"),
    [
        ("[INTERNAL] the process of coarse died.", True),
        ("Stub process 'coarse_0_0' is not healthy.", True),
        ('Traceback (most recent call last):\n  File "model.py", line 3', False),
        ("lock_exception at 0x7f3a9c2b", False),
        ("[INTERNAL] ...", False),
    ],
)
def test_an_error_is_worded_if_a_user_can_read_it(triton: FakeTriton, message: str, worded: bool) -> None:
    two = replace(PROBE, text="One. Two.")
    with BarkClient(triton.url) as client:
        alone = client.speak(two.text, **two.options).samples
        triton.plan.append(fake_triton.say_error(message, after_chunks=1))
        answer = ask(client, two, alone, clock=lambda: 2.0)
    assert (answer.outcome, answer.worded, answer.wrong) == ("failed", worded, False)
    assert message.removeprefix("[INTERNAL] ") in answer.error


def test_audio_before_an_error_must_begin_the_solo_answer(triton: FakeTriton) -> None:
    with BarkClient(triton.url) as client:
        alone = client.speak(PROBE.text, **PROBE.options).samples
        triton.plan.append(fake_triton.say_error("[INTERNAL] it broke.", after_chunks=1))  # of a text of two sentences
        assert ask(client, PROBE, alone, clock=lambda: 2.0).wrong


class StandIn:
    """A server in this process, with one process that may be broken. Nothing that is done to that one disturbs it."""

    def __init__(self, triton: FakeTriton, victim: psutil.Process) -> None:
        self.url, self.starts, self._victim = triton.url, 0, victim

    def process(self, target: str) -> psutil.Process | None:
        return self._victim if target == "bark" else None

    def memory(self) -> dict[str, int]:
        return {"bark": 10}

    def start(self) -> None:
        self.starts += 1

    def stop(self) -> None:
        """Do nothing."""

    def shared_memory(self) -> int:
        return 0

    def processes_left(self) -> list[psutil.Process]:
        return []

    def regions(self) -> list[Path]:
        return []


def test_a_run_speaks_and_strikes_until_its_last_fault(triton: FakeTriton, victim: psutil.Process) -> None:
    faults = [Fault("stop", "bark", 0.1), Fault("kill", "coarse"), Fault("kill", "bark")]
    seen = chaos(cast(ServedByCommand, StandIn(triton, victim)), faults, seconds=60, every=0.4, streams=2, seed=0)
    assert seen.whole and seen.wrong == 0 and not seen.failed()
    assert [one.fault.name for one in seen.struck] == ["stop bark", "kill bark"]
    assert ["kill coarse was left out" in note for note in seen.notes] == [True]
    assert all(one.back is not None and 0 < one.until_back < 5 for one in seen.struck)
    assert victim.wait(10) != 0
    assert sum(len(one.answers) for one in seen.struck) < len(seen.answers), "some came before the first fault"


def test_a_server_that_stays_away_is_started_again(
    triton: FakeTriton, victim: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.chaos.measure.PATIENCE_S", 0.3)
    server = StandIn(triton, victim)

    def break_it(fault: Fault, process: psutil.Process) -> Callable[[], None]:
        triton.plan.extend([fake_triton.say_error("[INTERNAL] it broke.")] * 100)
        return triton.plan.clear

    monkeypatch.setattr("benchmarks.chaos.measure.strike", break_it)
    faults = [Fault("stop", "bark", 1.0)]
    seen = chaos(cast(ServedByCommand, server), faults, seconds=60, every=0.4, streams=1, seed=0)
    assert [one.back for one in seen.struck] == [None] and server.starts == 1
    assert {answer.error for answer in seen.failed()} == {"ServerError: it broke."}


def made(**changes: Any) -> Chaos:
    """Two faults, at 20 s and at 40 s, and six answers. The service came back 3 s after the first fault, then never."""
    answers = [
        Answer(18.0, 19.0, "finished"),
        Answer(19.0, 21.0, "failed", error="ServerError: the process of bark died."),
        Answer(21.5, 24.0, "failed", error="ServerUnavailable: no server answers"),  # sent in the outage
        Answer(24.0, 25.0, "failed", error="ServerError: late"),  # sent when the service was back
        Answer(26.0, 41.0, "finished"),
        Answer(39.0, 49.0, "failed", error="Exception: what", worded=False),
    ]
    struck = [Struck(Fault("kill", "bark"), 20.0, 23.0), Struck(Fault("hang", "coarse"), 40.0, None)]
    memory = [(at, {"bark": size, "tritonserver": 100}) for at, size in ((5.0, 50), (15.0, 100), (95.0, 112))]
    known = {
        "processes_left": [],
        "regions_left": 0,
        "memory": memory,
        "shared": [],
        "probes_wrong": 0,
        "seconds": 100.0,
    }
    return Chaos(**{"struck": _attributed(struck, answers), "answers": answers, **known, **changes})


def tables_of(seen: Chaos) -> tuple[Table, dict[str, Sequence[str]]]:
    """The table of a run, and the rows of its targets by name."""
    measured = report.measurements(seen, every=20.0)
    table = report.table(result("chaos", *measured, streams=4, minutes=1.7, seed=0, every=20))
    assert table.above is not None
    return table, {row[0]: row[1:] for row in table.above.rows}


def test_an_error_is_late_by_the_fault_that_its_request_met() -> None:
    seen = made()
    assert [seen.delay(answer) for answer in seen.failed()] == [1.0, 2.5, 1.0, 9.0]
    first, second = seen.struck
    assert (first.first_error, first.failed_though_back, first.until_back) == (1.0, 1, 3.0)
    assert (second.first_error, second.failed_though_back, second.until_back) == (9.0, 0, PATIENCE_S)


def test_a_request_that_has_audio_after_a_fault_survived_it() -> None:
    seen = made()
    survived = Answer(18.0, 41.0, "failed", error="ServerError: dead", heard=38.0)
    assert seen.delay(survived) == 1.0 and seen.delay(replace(survived, heard=19.0)) == 21.0


def test_targets_that_are_missed_are_shown_as_missed() -> None:
    table, targets = tables_of(made(regions_left=2))
    assert targets == {
        "answers unlike their solo answer": ["0", "0 of 2", "met"],
        "errors without words": ["0", "1 of 4", "missed"],
        "errors that came later": ["at most 5 s", "latest 9.00 s", "missed"],
        "service back": ["at most 10 s", "latest 60.0 s", "missed"],
        "starts from outside": ["0", "1", "missed"],
        "left at the end: processes, shared memory": ["0", "0 processes, 2 regions", "missed"],
        "memory at the end": ["at most +5 %", "+6.0 %", "missed"],
    }
    assert table.rows == [
        ["kill bark", "1", "3", "1.00 s", "2.50 s", "3.00 s", "3.00 s"],
        ["hang coarse", "1", "1", "9.00 s", "9.00 s", "60.0 s", "never"],
    ]


def test_a_run_without_errors_meets_its_targets() -> None:
    fine = made(answers=[Answer(1.0, 2.0, "finished")], struck=[Struck(Fault("stop", "fine", 2.0), 20.0, 22.5)])
    _, targets = tables_of(replace(fine, memory=fine.memory[:2]))
    assert {row[-1] for row in targets.values()} == {"met"}
    _, wrong = tables_of(replace(fine, probes_wrong=1))
    assert wrong["answers unlike their solo answer"][-1] == "missed"


def test_a_run_that_is_too_short_for_a_fault_is_refused() -> None:
    answer = CliRunner().invoke(app, ["chaos", "--minutes", "0.5", "--every", "20"])
    assert answer.exit_code == 1 and "No fault fits into 0.5 min" in answer.output
