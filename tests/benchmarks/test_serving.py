"""Exports of perf_analyzer 2.51.0, the figures read from them, and a sweep with a stand-in for the binary."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.errors import BenchmarkError
from benchmarks.results import SPEED, Measurement
from benchmarks.serve import measure as serving
from benchmarks.serve import perf_analyzer
from benchmarks.serve import table as table_of
from benchmarks.serve.perf_analyzer import Build, Load, Spoken, Tool
from benchmarks.servers import Target
from tests.benchmarks.made import result

EXPORT = Path(__file__).parent / "data/perf_analyzer_export.json"


@pytest.fixture(scope="module")
def recorded() -> list[Spoken]:
    with EXPORT.open() as file:
        return perf_analyzer.parse_export(file)


def test_a_recorded_export_has_every_request_with_its_times(recorded: list[Spoken]) -> None:
    raw = json.loads(EXPORT.read_text())["experiments"][0]["requests"]
    assert len(recorded) == len(raw) == 3
    for spoken, request in zip(recorded, raw, strict=True):
        assert spoken.text == request["request_inputs"]["text"]
        stamps = [stamp / 1e9 for stamp in request["response_timestamps"]]
        assert spoken.started < stamps[0] == spoken.first_audio
        assert spoken.ended == stamps[-2], "Triton's empty final answer has no audio"
        assert spoken.report is not None and spoken.report["last"] and spoken.audio_seconds > 0
    assert recorded[-1].first_audio < recorded[-1].ended, "two sentences, two chunks"  # type: ignore[operator]


def test_the_recorded_audio_is_dropped() -> None:
    text = EXPORT.read_text()
    kept = "".join(perf_analyzer.without_audio(io.StringIO(text)))
    assert len(kept) < len(text) and kept.count('"audio":[]') == 4


def test_a_failed_request_has_no_report() -> None:
    document = {
        "experiments": [
            {
                "requests": [
                    {
                        "timestamp": 1_000_000_000,
                        "request_inputs": {"text": "x"},
                        "response_timestamps": [2_000_000_000],
                        "response_outputs": [{"report": "", "audio": 0.0}],
                    }
                ]
            }
        ]
    }
    [spoken] = perf_analyzer.parse_export(io.StringIO(json.dumps(document)))
    assert spoken.report is None and spoken.first_audio is None and spoken.ended == 2.0


@pytest.mark.parametrize("block", [1, 2, 3, 7, 11, 1000])
def test_audio_is_dropped_for_any_block_size(block: int) -> None:
    text = '{"a":[{"audio":[0.1,-2e-5],"b":"]"},{"audio":[],"c":[1,2]},{"audio":3.5}],"d":"\\"audio\\":"}'
    kept = "".join(perf_analyzer.without_audio(io.StringIO(text), block=block))
    assert kept == text.replace("0.1,-2e-5", "")


def test_a_summary_has_latencies_and_audio_throughput(recorded: list[Spoken]) -> None:
    texts = [text for text, _ in serving.TEXTS.values()]
    spoken = [
        Spoken(texts[0], 0.0, 1.0, 2.0, {"audio_seconds": 2.0, "stages": {"coarse": {"seconds": 0.5}}}),
        Spoken(texts[1], 1.0, 2.5, 4.0, {"audio_seconds": 6.0, "stages": {"coarse": {"seconds": 0.7}}}),
    ]
    found = {m.metric: m for m in serving.summarise(spoken, load=Load(concurrency=2), subject="streamed")}
    assert found[SPEED].samples == (2.0,)
    assert found["latency"].samples == (2.0, 3.0) and found["first audio"].samples == (1.0, 1.5)
    assert found["real-time factor"].samples == (1.0, 0.5) and found["coarse stage"].samples == (0.5, 0.7)
    assert found["first audio, medium text"].samples == (1.5,)


def closed_loop(requests: int, *, in_flight: int, latency: float) -> list[Spoken]:
    """Clients that start one by one and send the next request after each answer; 6 s of audio per request."""
    spoken = []
    for number in range(requests):
        client, turn = number % in_flight, number // in_flight
        begun = client * latency / in_flight + turn * latency
        spoken.append(Spoken("x", begun, None, begun + latency, {"audio_seconds": 6.0}))
    return spoken


@pytest.mark.parametrize("in_flight", [1, 4, 8, 16, 64])
@pytest.mark.parametrize("together", [True, False])
def test_throughput_is_measured_while_the_whole_load_is_in_flight(in_flight: int, together: bool) -> None:
    """The server works on eight requests at once. Waiting requests do not count as throughput."""
    spoken = queued(3 * in_flight + 20, in_flight=in_flight, places=8, latency=3.0, together=together)
    found = serving.pace(spoken, in_flight)
    assert found.requests == pytest.approx(min(in_flight, 8) / 3.0, rel=0.1)
    assert found.audio == pytest.approx(6.0 * found.requests)
    assert found.in_flight == pytest.approx(in_flight, rel=0.1)


def test_throughput_is_right_for_requests_of_different_lengths() -> None:
    """Eight clients start together. The server generates one second of audio per second for each of them."""
    ends, spoken = [0.0] * 8, []
    for number in range(24):
        client = ends.index(min(ends))
        length = (1.0, 2.0, 4.0)[number % 3]
        spoken.append(Spoken("x", ends[client], None, ends[client] + length, {"audio_seconds": length}))
        ends[client] += length
    assert serving.pace(spoken, 8).audio == pytest.approx(8.0)


def test_throughput_of_few_requests_is_measured_over_their_whole_time() -> None:
    assert serving.pace(closed_loop(4, in_flight=4, latency=3.0), 4).audio == pytest.approx(24 / (3 + 3 * 3 / 4))
    assert serving.pace([Spoken("x", 1.0, None, 4.0, {"audio_seconds": 6.0})], 1) == serving.Pace(1 / 3, 2.0, 1.0)


def queued(requests: int, *, in_flight: int, places: int, latency: float, together: bool) -> list[Spoken]:
    """Clients send a request whenever one is answered. The server works on `places` requests at once, first come, first
    served. Clients start together or one by one.
    """
    free = [0.0 if together else place * latency / places for place in range(places)]
    ended: list[float] = []
    spoken = []
    for number in range(requests):
        sent = 0.0 if number < in_flight else sorted(ended)[number - in_flight]
        place = free.index(min(free))
        free[place] = max(free[place], sent) + latency
        ended.append(free[place])
        spoken.append(Spoken("x", sent, None, free[place], {"audio_seconds": 6.0}))
    return spoken


def test_a_percentile_of_too_few_requests_is_left_blank() -> None:
    measured = serving.summarise(
        closed_loop(12, in_flight=4, latency=3.0), load=Load(concurrency=4), subject="streamed"
    )
    table = table_of(result("serve", *measured))
    assert table.above is not None
    cells = dict(zip(table.above.header[-4:], table.above.rows[0][-4:], strict=True))
    assert cells == {"latency p50": "3.00 s", "p90": "3.00 s", "p95": "", "p99": ""}
    assert table.above.rows[0][1] == "12"


METRICS = """
# TYPE bark_stage_seconds_total counter
bark_stage_seconds_total{model="bark",stage="coarse",version="1"} %s
bark_stage_calls_total{model="bark",stage="coarse",version="1"} 99
bark_requests_total{model="bark",outcome="spoken",version="1"} %s
"""


def test_stage_times_are_the_difference_of_the_servers_counters() -> None:
    before, after = (serving.read_counters(METRICS % values) for values in (("1.5", "2"), ("7.5", "5")))
    assert serving.stage_means(before, after) == {"coarse": 2.0}
    assert serving.stage_means({}, after) == {} and serving.stage_means(before, before) == {}


def test_the_knee_is_the_lowest_load_near_the_best_throughput() -> None:
    assert serving.knee({1: 1.0, 2: 1.8, 4: 2.9, 8: 3.0, 16: 3.1, 32: 2.9}) == 4
    assert serving.knee({1: 1.0}) == 1
    assert serving.knee({}) is None


def test_a_sweep_ends_after_two_doublings_without_gain() -> None:
    assert not serving.is_flat([1.0, 1.8, 1.8])
    assert serving.is_flat([1.0, 1.8, 1.8, 1.85])
    assert not serving.is_flat([1.0, 1.8, 1.8, 2.2])


def sweep(tmp_path: Path, script: str, **options: object) -> serving.Sweep:
    """A sweep with a stand-in for the binary."""
    binary = tmp_path / "perf_analyzer"
    binary.write_text(f"#!/bin/bash\n{script}\n")
    binary.chmod(0o755)
    return serving.Sweep(
        tool=Tool(binary, tmp_path, "test"),
        max_concurrency=4,
        requests_each=2,
        least_requests=3,
        timeout_s=20,
        **{"rates": False, **options},  # type: ignore[arg-type]
    )


def run(
    sweep: serving.Sweep, *, on_step: Callable[[str], None] = lambda label: None
) -> tuple[list[Measurement], list[str]]:
    nowhere = Target("127.0.0.1:1", None)
    return serving.run(sweep, "streamed", nowhere, Path("data.json"), on_step=on_step)


#: Shell code that reads the binary's arguments into $load and $export.
READ = (
    'for i in "$@"; do case $prev in --concurrency-range) load=$i;; --profile-export-file) export=$i;; esac; '
    "prev=$i; done; "
)
GIVE_RECORDED = f'{READ} cp {EXPORT} "$export"'


def test_a_load_that_fails_leaves_a_note_and_the_sweep_goes_on(tmp_path: Path) -> None:
    unstable = 'if [ "$load" = 2:2:1 ]; then echo "Failed to obtain stable measurement." >&2; exit 99; fi'
    script = f"{READ} {unstable}; {GIVE_RECORDED}"
    steps: list[str] = []
    measured, notes = run(sweep(tmp_path, script), on_step=steps.append)
    assert [m.case for m in measured if m.metric == SPEED] == ["concurrency 1", "concurrency 4"]
    assert len(notes) == 1 and "concurrency 2" in notes[0] and "stable measurement" in notes[0]
    assert len(steps) == 3


def test_a_load_is_measured_again_if_its_export_was_cut_off(tmp_path: Path) -> None:
    first = tmp_path / "first"
    cut = f'if [ ! -e {first} ]; then touch {first}; head -c 3000 {EXPORT} > "$export"; exit 139; fi'
    measured, notes = run(sweep(tmp_path, f"{READ} {cut}; {GIVE_RECORDED}"))
    assert len([m for m in measured if m.metric == SPEED]) == 3
    assert not any("could not be measured" in note for note in notes)


def test_exports_that_are_always_cut_off_leave_a_note(tmp_path: Path) -> None:
    cut = f'{READ} head -c 3000 {EXPORT} > "$export"; exit 139'
    measured, notes = run(sweep(tmp_path, cut))
    assert not measured and len(notes) == 3 and all("exit status 139" in note for note in notes)


def test_a_load_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    tool = sweep(tmp_path, "exec sleep 30").tool
    with pytest.raises(BenchmarkError, match=r"concurrency 1 was not done within 0\.2 s"):
        perf_analyzer.profile(
            tool, Load(concurrency=1), url="127.0.0.1:1", data=tmp_path / "d", requests=1, timeout_s=0.2
        )


def test_rates_are_shares_of_the_best_rate_of_the_sweep(tmp_path: Path) -> None:
    measured, _ = run(sweep(tmp_path, GIVE_RECORDED, rates=True))
    rates = [m.case for m in measured if m.metric == SPEED and m.case.startswith("rate ")]
    assert len(rates) == len(serving.RATE_SHARES)


def test_each_load_is_one_run_of_perf_analyzer() -> None:
    assert Load(concurrency=8).arguments() == ["--concurrency-range", "8:8:1"]
    assert Load(rate=0.5).arguments()[:2] == ["--request-rate-range", "0.5:0.5:1"]


def test_input_data_has_every_length_and_floats_with_a_point(tmp_path: Path) -> None:
    text = serving.write_data(tmp_path / "data.json", stream=False, fixed=True).read_text()
    steps = json.loads(text)["data"]
    assert {step["text"][0] for step in steps} == {given for given, _ in serving.TEXTS.values()}
    assert all(step["stream"] == [False] for step in steps)
    assert '"max_duration": [2.0]' in text and '"min_eos_p": [1.0]' in text
    options = {"coarse_window": 384}
    natural = serving.write_data(tmp_path / "data.json", stream=True, fixed=False, options=options).read_text()
    assert "max_duration" not in natural
    assert all(step["coarse_window"] == [384] for step in json.loads(natural)["data"])


def test_the_table_has_percentiles_of_every_load(recorded: list[Spoken]) -> None:
    measured = serving.summarise(recorded, load=Load(concurrency=1), subject="streamed")
    table = table_of(result("serve", *measured, knee_concurrency=1))
    assert table.above is not None
    for part in (table, table.above):
        [row] = part.rows
        assert row[0] == "streamed, concurrency 1" and len(row) == len(part.header)
    assert table.above.rows[0][1] == "3" and table.above.rows[0][-4] and not any(table.above.rows[0][-3:])
    assert all(table.rows[0][-4:]), "seconds of four stages"
    assert "knee at a concurrency of 1" in table.caption


# downloading


def test_a_binary_that_runs_is_not_downloaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = tmp_path / "9.9.9/perf_analyzer"
    binary.parent.mkdir()
    binary.write_text("#!/bin/bash\necho $LD_LIBRARY_PATH\n")
    binary.chmod(0o755)
    monkeypatch.setattr(perf_analyzer, "BUILDS", (Build("9.9.9", (2, 0), {}),))
    tool = perf_analyzer.ensure(tmp_path, glibc=(2, 36))
    assert tool.version == "9.9.9"
    assert tool.run([], timeout_s=5).stdout.split(os.pathsep)[0].strip() == str(tmp_path / "9.9.9/lib")


def test_a_system_with_an_old_glibc_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"glibc 2\.17.*too old"):
        perf_analyzer.ensure(tmp_path, glibc=(2, 17))


def test_builds_are_tried_newest_first() -> None:
    oldest = [build.glibc for build in perf_analyzer.BUILDS]
    assert oldest == sorted(oldest, reverse=True)
