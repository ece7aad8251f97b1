"""The ``trtllm-build`` command against the releases' options; ``bark-build engines`` and ``trtllm-checkpoint``."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bark_serving.bundle import Bundle
from bark_serving.engines.store import EngineStore
from bark_serving.host import gpus
from bark_serving.spec import GptStage, Spec
from build_engines.cli import app
from build_engines.errors import BuildError
from build_engines.trtllm.build import dtype_of
from build_engines.trtllm.checkpoint import Dtype
from build_engines.trtllm.command import MODEL_CLASS, MODEL_FILE, Limits, build_command, limits_of
from build_engines.trtllm.versions import DEFAULT, RELEASES, TABLE, Release
from tests.build_engines.trtllm.published import PUBLISHED
from tests.bundles import random_bundle, small_spec


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return random_bundle(tmp_path_factory.mktemp("cmd") / "bundle", small_spec(), networks=["semantic", "coarse"])


def options_of(command: Sequence[str]) -> dict[str, str]:
    return dict(zip(command[1::2], command[2::2], strict=True))


def check_options(command: Sequence[str], release: Release) -> None:
    """Every option exists in the release and has a value of its type."""
    known = PUBLISHED[release]["command"]
    for option, value in options_of(command).items():
        assert option in known["options"], f"{option} is not an option of {release}"
        assert option not in known["removed"]
        kind = known["options"][option]
        if kind == "int":
            assert int(value) > 0
        elif isinstance(kind, list):
            assert value in kind
        else:
            assert kind == "str" and value


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("stage", ["semantic", "coarse"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_command_uses_only_options_of_its_release(
    bundle: Bundle, release: Release, stage: GptStage, dtype: Dtype
) -> None:
    limits = limits_of(bundle, stage=stage, batch=8)
    command = build_command(limits, checkpoint=Path("in"), output=Path("out"), dtype=dtype, release=release)
    check_options(command, release)
    options = options_of(command)
    assert options["--gemm_plugin"] == options["--gpt_attention_plugin"] == dtype
    assert ("--max_prompt_embedding_table_size" in options) == (stage == "semantic")
    assert (options["--remove_input_padding"], options["--kv_cache_type"]) == ("enable", "paged")


def test_limits_of_the_released_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(Spec(name="released").model_dump_json())
    released = Bundle(tmp_path)
    assert limits_of(released, stage="semantic", batch=4) == Limits(4, 257, 1025, 1028, 1028)
    assert limits_of(released, stage="coarse", batch=4) == Limits(4, 887, 1025, 3548, 0)
    assert limits_of(released, stage="coarse", batch=64).tokens == 8_192
    assert limits_of(released, stage="coarse", batch=1).tokens == 888


def test_the_file_of_the_model_class_imports_nothing_of_this_project() -> None:
    tree = ast.parse(MODEL_FILE.read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported == {"__future__", "functools", "typing", "numpy", "tensorrt", "tensorrt_llm"}
    assert MODEL_CLASS in {node.name for node in tree.body if isinstance(node, ast.ClassDef)}


def test_every_release_has_a_container_and_architectures() -> None:
    assert DEFAULT == "1.0.0" and set(TABLE) == set(RELEASES) == set(PUBLISHED)
    for row in TABLE.values():
        assert re.fullmatch(r"nvcr\.io/nvidia/tritonserver:\d\d\.\d\d-trtllm-python-py3", row.container)
        assert re.fullmatch(r"\d\d\.\d\d", row.plans)
        assert "sm90" in row.architectures and "sm75" not in row.architectures
    assert TABLE["1.0.0"].container.split(":")[1].startswith("25.10")


def run(*arguments: str | Path | float) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "200"})


def build(bundle: Bundle, root: Path, *arguments: str | float, stages: Sequence[GptStage] = ("semantic",)) -> Result:
    """``bark-build engines`` for a GPU that TensorRT-LLM knows."""
    named = (part for stage in stages for part in ("--stage", stage))
    options = ("--gpu", "sm90", "--bundle", bundle.folder, "--engines", root / "engines", *named)
    return run("engines", "--profile", "trtllm", *options, *arguments)


def plain(result: Result) -> str:
    return " ".join(result.output.split())


def test_dry_run_prints_the_commands_and_writes_nothing(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("--dry-run", "--release", "1.2.1", "--precision", "bf16", "--max-batch", 4)
    result = run("trtllm-checkpoint", "--bundle", bundle.folder, *options)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert len(lines) == 2
    for line in lines:
        check_options(shlex.split(line), "1.2.1")
        assert "--gemm_plugin bfloat16" in line and "--max_batch_size 4" in line
    assert not list(tmp_path.iterdir())


def test_checkpoints_can_be_written_to_be_built_elsewhere(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "for the gpu"
    options = ("--bundle", bundle.folder, "--stage", "semantic", "--min-eos-p", "0.3")
    result = run("trtllm-checkpoint", folder, *options)
    assert result.exit_code == 0, result.output
    assert run("trtllm-checkpoint", folder, *options, "--dry-run").stdout == result.stdout
    options = options_of(shlex.split(result.stdout))
    assert (folder / "model.py").read_bytes() == MODEL_FILE.read_bytes()
    assert options["--model_cls_file"] == str(folder / "model.py")
    config = json.loads((Path(options["--checkpoint_dir"]) / "config.json").read_text())
    assert config["bark_min_eos_p"] == 0.3
    assert (Path(options["--checkpoint_dir"]) / "rank0.safetensors").exists()


def test_without_tensorrt_llm_the_remedy_names_the_container(bundle: Bundle, tmp_path: Path) -> None:
    result = build(bundle, tmp_path)
    assert result.exit_code == 1
    assert "TensorRT-LLM is not installed here" in plain(result)
    assert "tritonserver:25.10-trtllm-python-py3" in plain(result) and "trtllm-checkpoint" in plain(result)
    assert "Traceback" not in result.output and not (tmp_path / "engines").exists()


@pytest.mark.parametrize("arguments", [("--min-eos-p", "0"), ("--temperature", "-1"), ("--min-eos-p", "2")])
def test_constants_that_cannot_be_built_in_are_refused(
    bundle: Bundle, tmp_path: Path, arguments: tuple[str, str]
) -> None:
    for result in (build(bundle, tmp_path, *arguments), run("trtllm-checkpoint", "--dry-run", *arguments)):
        assert result.exit_code == 1 and "cannot be built into an engine" in plain(result)


Installer = Callable[..., Path]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installer:
    """A TensorRT-LLM to the eye: a distribution of that name, and a program that writes what it was asked."""

    def install(*, version: str = "1.0.0", architecture: str | None = "sm90", script: str | None = None) -> Path:
        site, programs, log = tmp_path / "site", tmp_path / "bin", tmp_path / "asked.json"
        (site / f"tensorrt_llm-{version}.dist-info").mkdir(parents=True)
        metadata = f"Metadata-Version: 2.1\nName: tensorrt_llm\nVersion: {version}\n"
        (site / f"tensorrt_llm-{version}.dist-info/METADATA").write_text(metadata)
        programs.mkdir()
        program = programs / "trtllm-build"
        program.write_text(
            f"#!{sys.executable}\n"
            + (
                script
                or f"""
import json, pathlib, sys
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
pathlib.Path({str(log)!r}).write_text(json.dumps(options))
assert pathlib.Path(options["--checkpoint_dir"], "rank0.safetensors").exists()
output = pathlib.Path(options["--output_dir"])
(output / "config.json").write_text("{{}}")
(output / "rank0.engine").write_bytes(b"engine")
"""
            )
        )
        program.chmod(0o755)
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setattr(gpus, "architectures", lambda *_: (architecture,) if architecture else ())
        return log

    return install


def test_an_engine_is_published_with_its_whole_manifest(bundle: Bundle, tmp_path: Path, installed: Installer) -> None:
    log = installed()
    engines = tmp_path / "engines"
    result = build(bundle, tmp_path, "--max-batch", 4, "--precision", "int8", stages=("semantic", "coarse"))
    assert result.exit_code == 0, result.output
    found = {engine.manifest.stage: engine for engine in EngineStore(engines).list()}
    assert set(found) == {"semantic", "coarse"}
    manifest = found["semantic"].manifest
    assert (manifest.profile, manifest.precision, manifest.architecture) == ("trtllm", "int8", "sm90")
    assert manifest.versions == {"tensorrt_llm": "1.0.0", "tensorrt": "10.11.0.33"}
    assert manifest.shapes == {"batch": (1, 4, 4), "prompt": (1, 257, 257), "sequence": (1, 1025, 1025)}
    assert manifest.constants == {"temperature": 0.7, "min_eos_p": 0.2}
    assert manifest.inputs["prompt_embedding_table"].dtype == "float16"
    assert found["coarse"].manifest.constants == {}
    assert set(manifest.files) == {"config.json", "rank0.engine"}
    check_options(["trtllm-build", *(part for pair in json.loads(log.read_text()).items() for part in pair)], "1.0.0")
    assert not [path for path in engines.iterdir() if path.name.startswith(".checkpoint")]


def test_other_constants_give_another_engine_and_the_same_ones_none(
    bundle: Bundle, tmp_path: Path, installed: Installer
) -> None:
    log = installed()
    assert build(bundle, tmp_path).exit_code == 0
    log.unlink()
    assert build(bundle, tmp_path).exit_code == 0 and not log.exists()
    assert build(bundle, tmp_path, "--min-eos-p", 0.25).exit_code == 0 and log.exists()
    assert len(EngineStore(tmp_path / "engines").list()) == 2


def test_a_failing_build_leaves_its_log_and_no_engine(bundle: Bundle, tmp_path: Path, installed: Installer) -> None:
    installed(script="import sys; print('out of memory'); sys.exit(3)")
    result = build(bundle, tmp_path, stages=("coarse",))
    assert result.exit_code == 1
    assert "trtllm-build failed (status 3): out of memory" in plain(result)
    log = tmp_path / "engines/.logs/coarse-trtllm-build.log"
    assert str(log) in plain(result) and "--checkpoint_dir" in log.read_text()
    assert EngineStore(tmp_path / "engines").list() == []


def test_a_build_without_an_engine_is_a_failure(bundle: Bundle, tmp_path: Path, installed: Installer) -> None:
    installed(script="print('done')")
    result = build(bundle, tmp_path, stages=("coarse",))
    assert result.exit_code == 1 and "no config.json" in plain(result)


@pytest.mark.parametrize(
    ("version", "architecture", "message"),
    [
        ("1.3.0", "sm90", "TensorRT-LLM 1.3.0 is installed here; engines can be built with 1.0.0 and 1.2.1"),
        ("1.0.0", None, "this machine shows none"),
        ("1.0.0", "sm75", "has no engines for sm75"),
    ],
)
def test_an_unsupported_machine_is_refused_before_anything_is_written(
    bundle: Bundle, tmp_path: Path, installed: Installer, version: str, architecture: str | None, message: str
) -> None:
    installed(version=version, architecture=architecture)
    result = build(bundle, tmp_path)
    assert result.exit_code == 1 and message in plain(result)
    assert not (tmp_path / "engines").exists()


def test_fp32_engines_are_not_offered() -> None:
    with pytest.raises(BuildError, match="cannot be built in fp32"):
        dtype_of("fp32")
