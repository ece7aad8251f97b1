"""``bark-build engines``: what it builds, refuses and prints; and ``bark-build`` itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner, Result

import build_engines
from bark_serving.bundle import Bundle, BundleError
from bark_serving.engines.store import Engine, EngineStore
from bark_serving.errors import UserError
from bark_serving.profiles import STAGES
from build_engines.cli import app
from build_engines.commands import progress
from build_engines.engine_jobs import EngineJob
from build_engines.errors import BuildError
from build_engines.estimate import estimate
from build_engines.tensorrt import library
from tests.bundles import random_bundle, small_spec


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress.console, "_width", 200)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


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


def test_too_little_disk_is_an_error_before_anything_is_built(
    bundle: Bundle, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 1_000))
    done = run("engines", "--bundle", bundle.folder, "--engines", root)
    assert done.exit_code == 1
    assert "free in" in done.output and f"`bark-build prune --engines {root}`" in done.output
    assert not root.exists()


@pytest.mark.parametrize("command", [("engines", "--dry-run"), ("engines",), ("list",), ("verify",), ("prune",)])
@pytest.mark.parametrize("below", ["", "engines"])
def test_a_file_is_refused_as_a_store_by_every_command(tmp_path: Path, command: tuple[str, ...], below: str) -> None:
    (tmp_path / "x.csv").touch()
    done = run(*command, "--engines", tmp_path / "x.csv" / below)
    assert done.exit_code == 1
    assert f"{tmp_path / 'x.csv'} is not a folder, so it keeps no engines." in done.output
    assert "--engines, or in $BARK_ENGINES" in done.output and "to build" not in done.output


def test_a_dry_run_refuses_a_store_that_this_user_may_not_write_to(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, _mode: path != tmp_path)
    done = run("engines", "--bundle", bundle.folder, "--engines", tmp_path / "none", "--dry-run")
    assert done.exit_code == 1
    assert f"user {os.getuid()} may not write to {tmp_path}. Give another folder" in " ".join(done.output.split())


@pytest.mark.parametrize(("command", "said"), [("verify", "no engines in"), ("prune", "0 removed")])
def test_a_store_that_does_not_exist_fails_and_an_empty_one_passes(tmp_path: Path, command: str, said: str) -> None:
    done = run(command, "--engines", tmp_path / "none")
    assert done.exit_code == 1
    assert f"There is no folder {tmp_path / 'none'}." in done.output and "$BARK_ENGINES" in done.output
    empty = run(command, "--engines", tmp_path)
    assert empty.exit_code == 0 and said in empty.output


def test_an_empty_store_is_named_in_the_command_that_fills_it(tmp_path: Path) -> None:
    assert f"`bark-build engines --engines '{tmp_path}/my st'`" in run("list", "--engines", tmp_path / "my st").output


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
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("engines", "--help"),
        ("list",),
        ("verify", "--engines", "."),
        ("prune", "--engines", ".", "--dry-run"),
    ],
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
