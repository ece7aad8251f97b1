"""``bark-build engines``: its table of jobs, its builds and its refusals; and ``bark-build`` itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

import bark_kernels
import build_engines
from bark_serving.bundle import Bundle, BundleError
from bark_serving.engines.manifest import Manifest
from bark_serving.engines.store import Engine, EngineStore
from bark_serving.errors import UserError
from bark_serving.host import gpus
from bark_serving.profiles import STAGES, Profile
from build_engines.cli import app
from build_engines.commands import progress
from build_engines.engine_jobs import EngineJob, engine_jobs
from build_engines.errors import BuildError
from build_engines.estimate import estimate
from build_engines.tensorrt import library
from tests.bundles import random_bundle, small_spec

PLANS = ("fine", "encodec_decode", "encodec_encode", "hubert")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return random_bundle(tmp_path_factory.mktemp("commands") / "bundle", small_spec())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "engines"


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress.console, "_width", 200)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def machine_with(monkeypatch: pytest.MonkeyPatch, *names: str, tensorrt: str | None = None) -> None:
    """This machine gets these GPUs, and a TensorRT that only has a version."""

    def architectures(numbers: Sequence[int] | None = None) -> Sequence[str]:
        return names

    monkeypatch.setattr(gpus, "architectures", architectures)
    if tensorrt:
        monkeypatch.setattr(
            library, "load_library", lambda *_: library.Library("tensorrt", SimpleNamespace(), tensorrt)
        )


def test_the_cpu_profile_is_built_once(bundle: Bundle, root: Path) -> None:
    arguments = ("engines", "--bundle", bundle.folder, "--engines", root, "--stage", "fine", "--precision", "fp32")
    first = run(*arguments)
    assert first.exit_code == 0, first.output
    assert "0 exist, 1 to build: about" in first.output
    assert "fine: built" in first.output
    [engine] = EngineStore(root).list()
    assert (engine.manifest.stage, engine.manifest.profile, engine.manifest.precision) == ("fine", "cpu", "fp32")
    second = run(*arguments)
    assert second.exit_code == 0
    assert "1 exist, 0 to build." in second.output
    assert engine.folder.name[:8] in second.output


def test_dry_run_builds_nothing(bundle: Bundle, root: Path) -> None:
    result = run("engines", "--bundle", bundle.folder, "--engines", root, "--dry-run")
    assert result.exit_code == 0
    assert f"0 exist, {len(STAGES)} to build" in result.output
    assert not root.exists()


def test_without_a_gpu_auto_asks_for_a_name(bundle: Bundle, root: Path) -> None:
    refused = run("engines", "--profile", "tensorrt", "--bundle", bundle.folder, "--engines", root)
    assert refused.exit_code == 1
    assert "There is no NVIDIA GPU here to build for." in refused.output
    assert "--gpu sm80,sm90" in refused.output


@pytest.mark.slow
def test_refused_engines_are_reported_and_the_others_are_built(
    bundle: Bundle, root: Path, rtx: library.Library
) -> None:
    done = run(
        *("engines", "--profile", "rtx", "--gpu", "sm80,sm90", "--bundle", bundle.folder, "--engines", root),
        *("--stage", "fine"),
    )
    assert done.exit_code == 1
    assert "0 exist, 1 to build, 1 cannot be built here" in done.output
    assert [engine.manifest.architecture for engine in EngineStore(root).list()] == ["sm80"]
    assert f"fine: {rtx.title} does not build all networks for sm90 (H100, H200, GH200)" in done.output
    assert "Build on a machine that has sm90" in done.output


@pytest.mark.parametrize("options", [("--profile", "trtllm"), ("--profile", "tensorrt", "--gpt", "trtllm")])
def test_a_missing_library_is_told_once_for_all_architectures(
    bundle: Bundle, root: Path, options: tuple[str, ...]
) -> None:
    where = ("--bundle", bundle.folder, "--engines", root)
    done = run("engines", *options, "--gpu", "sm80,sm90", "--stage", "semantic", *where)
    assert done.exit_code == 1
    assert done.output.count("TensorRT-LLM is not installed here.") == 1


def test_wrong_options_give_an_error_and_no_traceback(bundle: Bundle, root: Path) -> None:
    stage = run("engines", "--stage", "text", "--bundle", bundle.folder)
    assert stage.exit_code == 2 and "is not a stage" in stage.output
    precision = run("engines", "--profile", "tensorrt", "--gpt", "trtllm", "--gpu", "sm90", "--precision", "int4")
    assert precision.exit_code == 2 and "not int4" in precision.output
    gpu = run("engines", "--profile", "tensorrt", "--gpu", "h100", "--bundle", bundle.folder)
    assert gpu.exit_code == 1 and "'h100' is not a GPU architecture" in gpu.output
    gpt = run("engines", "--profile", "rtx", "--gpt", "trtllm", "--bundle", bundle.folder)
    assert gpt.exit_code == 2 and "trtllm runs the GPTs of the tensorrt profile only" in gpt.output
    torch = run("engines", "--profile", "torch", "--bundle", bundle.folder)
    assert torch.exit_code == 1 and "It needs no engines" in torch.output
    nothing = run("engines", "--bundle", root)
    assert nothing.exit_code == 1 and "is not a bundle" in nothing.output
    assert not any("Traceback" in result.output for result in (stage, precision, gpu, gpt, torch, nothing))


@pytest.mark.parametrize(
    ("old", "new"), [("onnx", "--profile cpu"), ("tensorrt", "--profile tensorrt"), ("trtllm", "--profile trtllm")]
)
def test_an_old_command_names_the_one_that_replaces_it(old: str, new: str) -> None:
    answer = run(old, "--bundle", "miniature", "--precision", "int8")
    assert answer.exit_code == 2
    assert f"`bark-build {old}` is now `bark-build engines" in answer.output and new in answer.output
    assert old not in run("--help").output.split()


def planned(bundle: Bundle, root: Path, *architectures: str, profile: Profile = "trtllm") -> Sequence[EngineJob]:
    return engine_jobs(
        bundle, profile=profile, precision=None, architectures=architectures, store=EngineStore(root), stages=STAGES
    )


def test_the_tensorrt_profile_has_a_plan_per_stage_on_the_gpu_that_serves(
    bundle: Bundle, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_with(monkeypatch, "sm90", tensorrt="10.16.1.11")
    jobs = planned(bundle, root, "sm90", profile="tensorrt")
    assert [job.stage for job in jobs] == list(STAGES) and all(job.to_build for job in jobs)
    assert {(job.maker, job.title) for job in jobs} == {("tensorrt", "TensorRT 10.16.1.11")}
    machine_with(monkeypatch, tensorrt="10.16.1.11")
    for job in planned(bundle, root, "sm90", profile="tensorrt"):
        assert job.refusal and "builds on the GPU it builds for, and there is none here" in job.refusal.problem


@pytest.mark.parametrize("profile", ["tensorrt", "trtllm"])
def test_without_a_gpu_nobody_is_told_to_install_tensorrt_first(
    bundle: Bundle, root: Path, monkeypatch: pytest.MonkeyPatch, profile: Profile
) -> None:
    machine_with(monkeypatch)
    [refusal] = {job.refusal.problem for job in planned(bundle, root, "sm90", profile=profile) if job.stage == "fine"}
    assert refusal == "TensorRT builds on the GPU it builds for, and there is none here."


def test_an_old_tensorrt_is_refused_with_what_helps(
    bundle: Bundle, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_with(monkeypatch, "sm90", tensorrt="10.14.1.48.post1")
    for job in planned(bundle, root, "sm90", profile="tensorrt"):
        assert job.refusal and "TensorRT 10.14.1.48.post1 does not know KV caches" in job.refusal.problem
        assert "needs 10.16 or newer" in job.refusal.problem and "--gpt trtllm" in job.refusal.remedy


def test_trtllm_has_jobs_for_its_own_gpu_only(bundle: Bundle, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine_with(monkeypatch, "sm90", tensorrt="10.11.0.33")
    jobs = {(job.stage, job.architecture): job for job in planned(bundle, root, "sm80", "sm90")}
    assert all(jobs[stage, "sm90"].to_build for stage in PLANS)  # type: ignore[index]
    for stage in PLANS:
        refusal = jobs[stage, "sm80"].refusal  # type: ignore[index]
        assert refusal and "here sm90, not for sm80" in refusal.problem
    assert [jobs[stage, "sm90"].precision for stage in PLANS] == ["fp16", "fp16", "fp32", "fp16"]  # type: ignore[index]


def test_the_jobs_say_whether_the_kernels_run_an_engine(
    bundle: Bundle, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def runs_in(variable: str) -> dict[str, str]:
        monkeypatch.setenv("BARK_KERNELS", variable)
        jobs = engine_jobs(bundle, profile="cpu", precision="int8", architectures=(), store=EngineStore(root))
        return {job.stage: job.title for job in jobs}

    assert set(runs_in("off").values()) == {"ONNX Runtime"}
    with_kernels = runs_in(bark_kernels.instruction_sets()[-1])
    assert with_kernels["semantic"].startswith("kernels (") and with_kernels["fine"].startswith("kernels (")
    assert with_kernels["encodec_decode"] == with_kernels["hubert"] == "ONNX Runtime"


def rtx_jobs(bundle: Bundle, root: Path, *architectures: str, **options: Any) -> Sequence[EngineJob]:
    return engine_jobs(
        bundle, profile="rtx", precision=None, architectures=architectures, store=EngineStore(root), **options
    )


def test_the_rtx_profile_has_a_plan_per_stage_without_a_gpu(bundle: Bundle, root: Path, rtx: library.Library) -> None:
    jobs = rtx_jobs(bundle, root, "sm86+sm120")
    assert [job.stage for job in jobs] == list(STAGES) and all(job.to_build for job in jobs)
    assert {(job.maker, job.title, job.profile) for job in jobs} == {("tensorrt_rtx", rtx.title, "rtx")}
    assert [job.precision for job in jobs] == ["fp16", "fp16", "fp16", "fp16", "fp32", "fp16"]


def test_the_rtx_profile_names_another_one_for_data_centre_gpus(bundle: Bundle, root: Path) -> None:
    for job in rtx_jobs(bundle, root, "sm90"):
        assert job.refusal and "does not build all networks for sm90 (H100, H200, GH200)" in job.refusal.problem
        assert "--profile tensorrt --gpu sm90" in job.refusal.remedy


@pytest.mark.slow
def test_the_command_builds_all_plans_of_the_rtx_profile_for_two_gpus_at_once(tmp_path: Path, root: Path) -> None:
    spec = small_spec()
    gpt = {"heads": 4, "width": 256}
    wider = {
        stage: getattr(spec, stage).model_copy(update={"gpt": getattr(spec, stage).gpt.model_copy(update=gpt)})
        for stage in ("semantic", "coarse", "fine")
    }
    bundle = random_bundle(tmp_path / "bundle", spec.model_copy(update=wider))
    options = ("--profile", "rtx", "--gpu", "sm86+sm120", "--bundle", bundle.folder, "--engines", root)
    done = run("engines", *options)
    assert done.exit_code == 0, done.output
    found = EngineStore(root).list()
    assert [engine.manifest.stage for engine in found] == list(STAGES)
    assert {engine.manifest.architecture for engine in found} == {"sm86+sm120"}
    again = run("engines", *options)
    assert "6 exist, 0 to build" in again.output


def test_a_bundle_without_hubert_needs_no_engine_for_it(tmp_path: Path, root: Path) -> None:
    spec = small_spec().model_copy(update={"hubert": None})
    bundle = random_bundle(tmp_path / "bundle", spec, networks=["fine"])
    jobs = engine_jobs(bundle, profile="cpu", precision=None, architectures=(), store=EngineStore(root))
    assert "hubert" not in {job.stage for job in jobs}


def test_an_engine_built_elsewhere_counts_as_existing(
    bundle: Bundle, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine without TensorRT-LLM that got a folder of engines."""
    manifest = Manifest(
        stage="coarse",
        profile="trtllm",
        precision="fp16",
        bundle=bundle.hash,
        bundle_name=bundle.spec.name,
        architecture="sm90",
        versions={"tensorrt_llm": "1.0.0"},
        builder="elsewhere",
        inputs={},
        outputs={},
    )
    engine = EngineStore(root).publish(manifest, lambda folder: None)
    jobs = {(job.stage, job.architecture): job for job in planned(bundle, root, "sm80", "sm90")}
    assert jobs["coarse", "sm90"].existing == engine
    assert jobs["coarse", "sm80"].existing is None and jobs["coarse", "sm80"].refusal
    assert jobs["semantic", "sm90"].refusal


@pytest.mark.parametrize("smaller", [1, 20])
def test_an_estimate_uses_the_build_time_of_a_similar_engine(bundle: Bundle, root: Path, smaller: int) -> None:
    """A small engine may be far smaller than expected. Its time is mostly fixed."""
    store = EngineStore(root)
    before = estimate(bundle, stage="fine", precision="fp16", maker="tensorrt", store=store)
    assert before.seconds == pytest.approx(30, abs=1)
    manifest = Manifest(
        stage="fine",
        profile="tensorrt",
        precision="fp16",
        bundle="another",
        bundle_name="another",
        versions={"tensorrt": "10.11.0.33"},
        builder="test",
        inputs={},
        outputs={},
    )
    engine = store.publish(
        manifest, lambda folder: (folder / "model.plan").write_bytes(bytes(before.size // smaller)) and None
    )
    rewritten = engine.manifest.model_copy(update={"seconds": 77.0})
    (engine.folder / "manifest.json").write_text(rewritten.model_dump_json())
    after = estimate(bundle, stage="fine", precision="fp16", maker="tensorrt", store=store)
    assert after.seconds == pytest.approx(77, rel=0.1)
    other = estimate(bundle, stage="fine", precision="fp16", maker="tensorrt_rtx", store=store)
    assert other.seconds < 30


def test_too_little_disk_is_an_error_before_anything_is_built(
    bundle: Bundle, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 1_000))
    done = run("engines", "--bundle", bundle.folder, "--engines", root)
    assert done.exit_code == 1
    assert "free in" in done.output and "bark-build prune" in done.output
    assert not root.exists()


def job(bundle: Bundle, root: Path, make: object, *, stage: str = "fine") -> EngineJob:
    return EngineJob(
        stage=stage,  # type: ignore[arg-type]
        precision="fp16",
        architecture="sm80",
        maker="tensorrt",
        title="a test",
        estimate=estimate(bundle, stage="fine", precision="fp16", maker="tensorrt", store=EngineStore(root)),
        make=make,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("kind", [BuildError, BundleError])
def test_after_a_failure_the_other_engines_are_built(
    bundle: Bundle, root: Path, capsys: pytest.CaptureFixture[str], kind: type[UserError]
) -> None:
    engine = SimpleNamespace(folder=root / "engine")

    def fails(on_step: object) -> Engine:
        raise kind("It broke.", remedy="Mend it.")

    jobs = [job(bundle, root, fails), job(bundle, root, lambda on_step: engine, stage="hubert")]
    with pytest.raises(typer.Exit) as caught:
        progress.build_all(jobs, root=root)
    assert caught.value.exit_code == 1
    output = capsys.readouterr().err
    assert str(engine.folder) in output
    assert "fine: It broke." in output and "Mend it." in output


def test_ctrl_c_says_that_finished_engines_are_kept(
    bundle: Bundle, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(on_step: object) -> Engine:
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as caught:
        progress.build_all([job(bundle, root, interrupted)], root=root)
    assert caught.value.exit_code == progress.INTERRUPTED
    assert "Finished engines are kept" in capsys.readouterr().err


def test_the_help_has_an_example_per_profile_with_engines() -> None:
    text = " ".join(run("engines", "--help").output.split())
    assert "bark-build engines --bundle build/bundles/bark-small" in text
    assert "bark-build engines --profile tensorrt --bundle" in text
    assert "bark-build engines --profile trtllm --bundle" in text
    assert "bark-build engines --profile rtx --gpu sm86+sm89+sm120" in text


def test_the_version_is_that_of_the_distribution() -> None:
    assert run("--version").output == f"bark-build {build_engines.__version__}\n"


WITHOUT_TORCH = """
import importlib.util, sys
MISSING = {"torch", "onnx", "onnxscript", "onnxruntime"}
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in MISSING else find_spec(name, *rest)
class Missing:
    def find_spec(self, name, *rest):
        if name.split(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from build_engines.cli import app
app(prog_name="bark-build")
"""


@pytest.mark.parametrize(
    "arguments",
    [("engines",), ("tiny", "out"), ("import", "suno/bark", "out"), ("trtllm-checkpoint",), ("miniature", "out")],
)
def test_without_torch_a_command_says_what_to_install(arguments: Sequence[str], tmp_path: Path) -> None:
    said = without_torch(*arguments, folder=tmp_path)
    assert said.returncode == 1, said.stderr
    assert "This command needs torch" in said.stderr and "not installed" in said.stderr
    assert "pip install -e '.[" in said.stderr and "checkout" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("engines", "--help"), ("list",), ("verify",), ("prune", "--dry-run")]
)
def test_commands_that_need_no_torch_work_without_it(arguments: Sequence[str], tmp_path: Path) -> None:
    said = without_torch(*arguments, folder=tmp_path)
    assert said.returncode == 0, said.stderr


def without_torch(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """``bark-build`` where neither torch nor the exporters are installed."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])},
    )
