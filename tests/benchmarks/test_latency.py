"""`latency`: what a player hears, and the table of the two modes."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks import latency
from benchmarks.cli import app
from benchmarks.errors import BenchmarkError
from benchmarks.latency import FIRST, MODES, PAUSE, RTF, Heard, longest_pause
from benchmarks.results import Measurement, load
from tests.benchmarks.made import result
from tests.client.fake_triton import FakeTriton


@pytest.mark.parametrize(
    ("arrivals", "lengths", "pause"),
    [
        ([1.0], [2.0], 0.0),
        ([1.0, 2.9], [2.0, 1.0], 0.0),
        ([1.0, 3.5], [2.0, 1.0], 0.5),
        ([1.0, 3.5, 5.0], [2.0, 1.0, 1.0], 0.5),  # the player has paused: the third chunk is due later
        ([1.0, 3.5, 4.75], [2.0, 1.0, 1.0], 0.5),
    ],
)
def test_a_player_waits_for_chunks_that_come_late(arrivals: list[float], lengths: list[float], pause: float) -> None:
    assert longest_pause(arrivals, lengths) == pytest.approx(pause)


def test_the_real_time_factor_counts_the_whole_request() -> None:
    figures = Heard(arrivals=[0.5, 1.0], lengths=[1.0, 3.0], seconds=2.0).figures()
    assert figures == {FIRST: 0.5, PAUSE: 0.0, RTF: 0.5}


def test_the_table_compares_low_latency_with_normal() -> None:
    values = {"normal": {FIRST: 2.0, PAUSE: 0.0, RTF: 0.5}, "low": {FIRST: 0.25, PAUSE: 0.1, RTF: 0.6}}
    measured = [
        Measurement(case="10 s", subject=mode, metric=metric, samples=(value,))
        for mode in MODES
        for metric, value in values[mode].items()
    ]
    (row,) = latency.table(result("latency", *measured, speed="fast")).rows
    assert row == ["10 s", "2.00 s", "0.25 s", "0.12×", "0 ms", "0.10 s", "0.50", "0.60", "1.20×"]


def test_the_command_speaks_every_text_in_both_modes_in_turns(triton: FakeTriton, tmp_path: Path) -> None:
    output = tmp_path / "latency.json"
    options = ["--url", triton.url, "--text", "3 s", "--text", "10 s", "--at-once", "1", "--at-once", "2"]
    answer = CliRunner().invoke(app, ["latency", *options, "--repeats", "2", "--output", str(output)])
    assert answer.exit_code == 0, answer.output + str(answer.exception)
    modes = [one["latency"].decode() for one in triton.requests]
    assert modes == [*MODES, *(["normal"] + ["low"] + ["normal"] * 2 + ["low"] * 2) * 4]
    found = load(output)
    assert found.cases(FIRST) == ["3 s", "3 s, 2 at once", "10 s", "10 s, 2 at once"]
    assert {(m.metric, len(m.samples)) for m in found.measurements if m.case == "10 s, 2 at once"} == {
        (metric, 4) for metric in (FIRST, PAUSE, RTF)
    }
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_a_text_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(BenchmarkError, match="no text of '5 s'"):
        latency.choose(["5 s"], latency.FIXED)
