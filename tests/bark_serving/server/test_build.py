"""``bark-serve up --build``: the building side as a process of its own, started only when it is there."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bark_serving.bundle import MINIATURE, Bundle
from bark_serving.cli import main
from bark_serving.engines import builders
from bark_serving.engines.manifest import Manifest
from bark_serving.engines.store import EngineStore
from bark_serving.host import gpus
from bark_serving.profiles import STAGES, Profile, Stage, stage_precision
from bark_serving.server import ServerError, ServerSettings, build, start, state
from bark_serving.server.build import arguments, build_missing, program
from bark_serving.server.gpu_check import PLAN_PROFILES
from bark_serving.server.render_settings import RenderSettings
from tests.bundles import random_bundle, small_spec

#: Engines outlive the session: their key holds everything that decides them.
ENGINES = Path(__file__).parents[3] / "build/test-engines"


def test_the_command_builds_for_the_profile_precision_and_gpu() -> None:
    settings = RenderSettings(
        bundle=Path("b"), engines=Path("e"), profile="tensorrt", precision="fp16", architecture="sm90"
    )
    assert arguments(settings) == [
        *("engines", "--profile", "tensorrt", "--bundle", "b", "--engines", "e"),
        *("--precision", "fp16", "--gpu", "sm90"),
    ]


def test_nothing_is_built_for_gpus_that_do_not_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorRT builds for one kind of GPU, so the engines for another kind would fail, and the start with them."""
    kinds = ["sm86", "sm89"]
    monkeypatch.setattr(gpus, "architectures", lambda numbers: [kinds[number] for number in numbers])
    settings = RenderSettings(bundle=Path("b"), profile="tensorrt", gpus=(0,), precision="fp16")
    assert arguments(settings)[-2:] == ["--gpu", "sm86"]
    assert "--gpu" not in arguments(RenderSettings(bundle=Path("b")))
    assert "--gpu" not in arguments(RenderSettings(bundle=Path("b"), architecture="sm90")), "it is refused for cpu"


def test_what_is_missing_is_built_by_another_process(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """One engine is missing; the others are those of the tests of the whole server."""
    from build_engines.export.build import make

    missing: Stage = "semantic"
    store = EngineStore(tmp_path / "engines")
    there = [make(tiny_bundle, stage=stage, precision="fp32", store=EngineStore(ENGINES)) for stage in STAGES]
    for engine in there:
        if engine.manifest.stage != missing:
            shutil.copytree(engine.folder, store.root / engine.folder.name)
    before = {engine.folder: engine.model.stat().st_mtime_ns for engine in store.list()}
    assert len(before) == len(STAGES) - 1
    build_missing(RenderSettings(bundle=tiny_bundle.folder, engines=store.root, precision="fp32"))
    built = store.list()
    assert {engine.manifest.stage for engine in built} == set(STAGES)
    assert {engine.manifest.precision for engine in built} == {"fp32"}
    assert {engine.folder.name for engine in built} == {engine.folder.name for engine in there}
    assert all(folder.is_dir() for folder in before), "what was there has gone"
    assert {e.folder: e.model.stat().st_mtime_ns for e in built if e.folder in before} == before, "it was built again"


def test_a_build_that_fails_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ServerError, match=r"Not every engine could be built \(status 1\)"):
        build_missing(RenderSettings(bundle=tmp_path, engines=tmp_path / "engines"))
    assert "is not a bundle" in capfd.readouterr().err


@pytest.mark.parametrize("lacking", ["build_engines", "torch", "onnxscript", "onnxruntime"])
def test_what_this_interpreter_lacks_a_builder_of_its_own_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lacking: str
) -> None:
    """As in the image for GPUs, whose exporters are in an environment beside the one that serves."""
    assert program()[0] == sys.executable
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == lacking else find(name))
    (tmp_path / "bark-build").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program() == [str(tmp_path / "bark-build")]

    monkeypatch.setattr(builders.sysconfig, "get_path", lambda _: str(tmp_path))  # no other than this interpreter's
    with pytest.raises(ServerError, match="lacks what it needs"):
        program()


def test_without_the_builder_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ServerError, match=r"pip install -e '\.\[build\]'` in the checkout"):
        build_missing(RenderSettings(bundle=tmp_path, engines=tmp_path))


def test_a_profile_without_engines_has_nothing_to_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build.subprocess, "run", lambda *_, **__: pytest.fail("something was built"))
    build_missing(RenderSettings(bundle=tmp_path, engines=tmp_path, profile="torch"))


@pytest.mark.parametrize("option", [True, False])
def test_missing_engines_are_built_before_rendering_if_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, option: bool
) -> None:
    done: list[str] = []
    monkeypatch.setattr(start, "find", lambda _: None)
    monkeypatch.setattr(start, "check_backends", lambda _, named: done.append(f"check {' '.join(sorted(named))}"))
    monkeypatch.setattr(start, "build_missing", lambda _: done.append("build"))
    monkeypatch.setattr(start, "render", lambda _, output: done.append(f"render {output.name}"))
    server = ServerSettings(repository=tmp_path / "repository", folder=tmp_path / "server")
    rendering = RenderSettings(bundle=tmp_path, profile="trtllm", gpus=(0,), voice_store=tmp_path)
    assert start.prepare(server, rendering, build=option).gpu
    assert done == [*(["check tensorrt tensorrtllm", "build"] if option else []), "render repository"]


@pytest.mark.parametrize("profile", PLAN_PROFILES)
def test_without_a_gpu_nobody_is_told_to_install_a_library_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, profile: Profile
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(gpus, "architectures", lambda numbers: [])
    server = ServerSettings(repository=tmp_path / "repository", folder=tmp_path / "server")
    with pytest.raises(ServerError, match=f"The {profile} profile needs an NVIDIA GPU, and there is none here"):
        start.prepare(server, RenderSettings(bundle=tmp_path, profile=profile, gpus=(0,)))
    monkeypatch.setattr(gpus, "architectures", lambda numbers: ["sm89"])
    monkeypatch.setattr(gpus, "driver_cuda", lambda: 13_000)
    with pytest.raises(ServerError, match=rf"pip install -e '\.\[{profile}\]'"):
        start.prepare(server, RenderSettings(bundle=tmp_path, profile=profile, gpus=(0,)))


def test_nothing_is_written_while_a_server_of_that_name_runs(tmp_path: Path) -> None:
    server = ServerSettings(repository=tmp_path / "repository", folder=tmp_path / "server")
    with state.exclusive(server), pytest.raises(ServerError, match="already running"):
        start.prepare(server, RenderSettings(bundle=MINIATURE))
    assert not server.repository.exists()


def test_the_command_that_rebuilds_an_engine_of_another_gpu_is_printed(tmp_path: Path) -> None:
    """The whole way: the plans are there, but for other GPUs than the one that is to serve."""
    bundle = random_bundle(tmp_path / "bundle", small_spec(), networks=[])
    store = EngineStore(tmp_path / "engines")
    publish_all(store, bundle, architecture="sm80")
    result = CliRunner().invoke(
        main.app,
        [
            *("render", "--profile", "tensorrt", "--gpu-architecture", "sm90", "--output", str(tmp_path / "out")),
            *("--bundle", str(bundle.folder), "--engines", str(store.root)),
        ],
    )
    assert result.exit_code == 1
    said = " ".join(result.output.split())
    assert "was built for sm80, the GPU here is sm90" in said
    assert f"Run `bark-build engines --profile tensorrt --bundle {bundle.folder}" in said
    assert "--gpu sm90" in said


def publish_all(store: EngineStore, bundle: Bundle, *, architecture: str) -> None:
    for stage in STAGES:
        manifest = Manifest(
            stage=stage,
            profile="tensorrt",
            precision=stage_precision(stage, "fp16", "tensorrt"),
            bundle=bundle.hash,
            bundle_name=bundle.spec.name,
            architecture=architecture,
            versions={},
            builder="test",
            inputs={},
            outputs={},
        )
        store.publish(manifest, lambda folder: None)


def test_the_serving_side_does_not_import_the_building_side() -> None:
    importing = re.compile(r"^\s*(import|from) build_engines", re.MULTILINE)
    sources = Path(build.__file__).parents[1].rglob("*.py")
    assert [path for path in sources if importing.search(path.read_text(encoding="utf-8"))] == []
