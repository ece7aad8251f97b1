"""What all commands of the benchmarks share: their options, their tables, and what they refuse."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bark_serving.bundle import Bundle
from benchmarks import results
from benchmarks.cli import app
from benchmarks.errors import BenchmarkError
from benchmarks.running import prepare, require
from tests.benchmarks.commands import SCALE, common, run
from tests.benchmarks.made import result as made_result
from tests.benchmarks.made import stage as made_stage

TORCH_ONLY = ("--peer", "torch fp32")  # of a drag race: rwkv and OpenVINO are not installed everywhere


@pytest.mark.parametrize(
    "arguments", [["drag-race", *TORCH_ONLY], ["stages", "--no-peers", "--no-triton", "--case", "semantic"]]
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
    options = [*common(endless), "--tokens-scale", SCALE, "--repeats", "1", "--variant", "torch fp32"]
    result = run(tmp_path / "result.json", *arguments, *options)
    assert result.machine.load == 0.12 and loads == [0.125, 3.0]
    assert (result.machine.bandwidth_gb_s or 0) > 0 and (result.machine.compute_gflop_s or 0) > 1


def test_the_error_for_a_missing_extra_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BenchmarkError, match=r"no_such_module is not installed.*'\.\[bench\]'"):
        require("numpy", "no_such_module")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "rwkv" else name)
    answer = CliRunner().invoke(app, ["drag-race"])
    assert answer.exit_code == 1 and "rwkv is not installed" in answer.output


@pytest.mark.parametrize("command", ["soak", "chaos", "serve", "stages", "drag-race", "quality", "listen"])
def test_an_output_that_is_no_json_file_is_refused_before_measuring(command: str) -> None:
    answer = CliRunner().invoke(app, [command, "--output", "results/soak"])
    assert answer.exit_code == 2
    assert "must end in .json" in answer.output


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


@pytest.mark.parametrize("arguments", [["drag-race", *TORCH_ONLY], ["stages", "--case", "semantic", "--case", "fine"]])
def test_an_approximation_without_effect_on_the_cases_is_refused(endless: Bundle, arguments: list[str]) -> None:
    answer = CliRunner().invoke(app, [*arguments, *common(endless), "--variant", "cpu int4, long windows"])
    assert answer.exit_code == 1 and "changes only the coarse windows" in " ".join(answer.output.split())
    assert "Name 'cpu int4'" in answer.output


@pytest.mark.parametrize("command", ["drag-race", "stages"])
def test_peers_on_a_gpu_are_refused_without_a_gpu(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    answer = CliRunner().invoke(app, [command, "--peer-device", "cuda"])
    assert answer.exit_code == 2 and "torch finds no GPU here" in answer.output
