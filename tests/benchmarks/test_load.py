"""What loads a real server: `serve`, `soak`, and their measuring of memory."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from bark_serving.bundle import Bundle
from bark_serving.engines.store import EngineStore
from benchmarks import results, servers, soak, variants
from benchmarks.cli import app
from benchmarks.errors import BenchmarkError
from benchmarks.results import SPEED
from benchmarks.serve import perf_analyzer
from tests.benchmarks.commands import ENGINES, run, table_of
from tests.client.fake_triton import FakeTriton


@pytest.fixture(scope="module")
def server(endless: Bundle) -> Iterator[servers.Target]:
    with servers.own_server(endless, variants.find("cpu int8"), store=EngineStore(ENGINES), threads=1) as target:
        yield target


@pytest.mark.slow
def test_memory_is_measured_by_model(server: servers.Target) -> None:
    memory = server.memory()
    assert memory is not None and {"tritonserver", "bark", "semantic", "coarse", "fine"} <= memory.keys()
    assert all(size > 1e6 for size in memory.values())


@pytest.mark.slow
def test_serve_measures_a_sweep_with_the_real_perf_analyzer(server: servers.Target, tmp_path: Path) -> None:
    try:
        perf_analyzer.ensure()
    except BenchmarkError as error:
        pytest.skip(f"perf_analyzer is not available here: {error}")
    options = ["--most", "1", "--requests-each", "3", "--least-requests", "3", "--rates", "--no-whole"]
    result = run(tmp_path / "serve.json", "serve", "--url", server.url, *options)
    assert "concurrency 1" in result.cases(SPEED)
    assert any(case.startswith("rate ") for case in result.cases(SPEED))
    assert not result.notes or not any("failed" in note for note in result.notes)
    latency = result.find(case="concurrency 1", subject="streamed", metric="latency")
    first = result.find(case="concurrency 1", subject="streamed", metric="first audio, long text")
    whole = result.find(case="concurrency 1", subject="streamed", metric="latency, long text")
    assert latency is not None and first is not None and whole is not None
    assert first.median < whole.median, "the first of three sentences arrives before the last"


@pytest.mark.slow
def test_growth_measures_texts_of_every_length(server: servers.Target, tmp_path: Path) -> None:
    result = run(
        tmp_path / "growth.json", "serve", "--growth", "--url", server.url, "--longest", "10", "--repeats", "1"
    )
    audio = [m.facts["audio_seconds"] for m in result.measurements if m.metric == "seconds"]
    assert audio == [5.0, 10.0]
    assert result.subjects() == [f"server at {server.url}"], "the variant of a server given by URL is unknown"
    assert not {"threads", "bundle"} & result.settings.keys()
    assert table_of(result).caption.startswith(f"server at {server.url}, the client on ")


@pytest.mark.slow
def test_growth_fits_no_line_through_a_single_length(server: servers.Target, tmp_path: Path) -> None:
    options = ["--growth", "--url", server.url, "--repeats", "1"]
    result = run(tmp_path / "growth.json", "serve", *options, "--longest", "6")
    assert len(result.cases()) == 1 and "fit" not in table_of(result).caption


@pytest.mark.slow
def test_a_soak_watches_memory_and_latency(server: servers.Target, tmp_path: Path) -> None:
    options = ["--minutes", "0.05", "--interval", "0.5", "--clients", "2"]
    result = run(tmp_path / "soak.json", "soak", "--url", server.url, *options)
    latencies = result.find(case="soak", subject="requests", metric="latency")
    assert latencies is not None and len(latencies.samples) == result.settings["requests"]
    assert list(latencies.times) == sorted(latencies.times) and 0 < latencies.times[0] < latencies.times[-1]


class Ending:
    """A server whose `check` raises an exception after some calls."""

    def __init__(self, url: str, what: BaseException, after: int) -> None:
        self.url, self.memory, self._what, self._left = url, lambda: None, what, after

    def check(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise self._what


@pytest.mark.parametrize("what", [BenchmarkError("The server ended by itself."), KeyboardInterrupt()])
def test_a_soak_that_ends_early_keeps_its_samples(
    triton: FakeTriton, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: BaseException
) -> None:
    ending = nullcontext(Ending(triton.url, what, after=6))
    monkeypatch.setattr(servers, "target", lambda *args, **options: ending)
    output = tmp_path / "soak.json"
    options = ["--url", triton.url, "--minutes", "10", "--interval", "0.5", "--output", str(output)]
    answer = CliRunner().invoke(app, ["soak", *options])
    assert answer.exit_code == 1
    result = results.load(output)
    assert result.settings["requests"] >= 1 and result.settings["minutes"] < 5
    assert any("of 10 min were measured" in note for note in result.notes)


def test_a_soak_ends_with_the_server_it_watches(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("2026-01-02T00:00:00Z E 7 model.cc:1] no memory is left\n")
    with subprocess.Popen(["sleep", "60"]) as child:
        target = servers.Target("127.0.0.1:1", psutil.Process(child.pid), log=log)
        target.check()
        child.kill()
        with pytest.raises(BenchmarkError, match=r"ended by itself\.\n  no memory is left"):
            soak.soak(target, seconds=60, clients=2, fixed=False)


def test_a_random_part_of_a_long_series_is_kept() -> None:
    points = [(float(second), 1.0 + second % 3) for second in range(30_000)]  # three lengths of text in turns
    kept = soak.thin(points)
    assert len(kept) == 2_000 and kept == sorted(kept)
    values = [value for _, value in kept]
    assert all(abs(values.count(value) - 2_000 / 3) < 100 for value in (1.0, 2.0, 3.0))
    assert soak.thin(points[:2_000]) == points[:2_000]
