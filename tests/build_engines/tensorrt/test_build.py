"""From a bundle to plans in the store: what is published, what is not built twice, what remains after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from onnx import ModelProto

from bark_serving.bundle import Bundle
from bark_serving.engines.compatibility import Host
from bark_serving.engines.manifest import Manifest
from bark_serving.engines.store import EngineMismatch, EngineStore
from bark_serving.profiles import Precision, Profile, Stage
from build_engines.errors import BuildError, ExportError
from build_engines.tensorrt import build, check, compiler, header
from build_engines.tensorrt.library import Library
from tests.build_engines.tensorrt.conftest import SmallGraph

pytestmark = pytest.mark.slow  # graphs are exported, and plans built: minutes


@pytest.fixture
def store(tmp_path: Path) -> EngineStore:
    return EngineStore(tmp_path / "engines")


@pytest.fixture
def exported_before(small: Bundle, small_graph: SmallGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    """Builders in this process get graphs that this session has exported; those in others export them themselves."""

    def export(bundle: Bundle, *, stage: Stage, precision: Precision) -> ModelProto:
        assert bundle == small
        return small_graph(stage, precision)

    small_graph("fine", "fp16"), small_graph("encodec_decode", "fp32")  # before the exporter is replaced
    monkeypatch.setattr(build.dialect, "export", export)


def fine(bundle: Bundle, rtx: Library, *, profile: Profile = "rtx", architecture: str = "sm80") -> Manifest:
    return build.manifest(
        bundle, profile=profile, stage="fine", precision="fp16", architecture=architecture, library=rtx
    )


@pytest.mark.usefixtures("exported_before")
def test_a_plan_is_published_with_its_manifest_and_not_built_again(
    small: Bundle, rtx: Library, store: EngineStore
) -> None:
    seen: list[tuple[str, float]] = []
    engine = build.make(
        small,
        profile="rtx",
        stage="fine",
        precision="fp16",
        architecture="sm80+sm120",
        library=rtx,
        store=store,
        on_step=lambda step, share: seen.append((step, share)),
    )
    assert [path.name for path in sorted(engine.folder.iterdir())] == ["manifest.json", "model.plan", "xxh3.json"]
    assert engine.model.name == "model.plan"
    assert header.read(engine.model.read_bytes()).architectures == ("sm80", "sm120")
    manifest = json.loads((engine.folder / "manifest.json").read_text())
    assert manifest["architecture"] == "sm80+sm120"
    assert manifest["profile"] == "rtx"
    assert manifest["versions"]["tensorrt_rtx"] == rtx.version
    assert manifest["shapes"] == {"batch": [1, 4, 8], "window": [1024, 1024, 1024]}
    assert list(manifest["outputs"]) == ["predictions"]
    assert 1e6 < manifest["memory"] < 1e9
    assert list(dict.fromkeys(step for step, _ in seen)) == list(build.STEPS)
    shares = [share for step, share in seen if step == "compile"]
    assert shares == sorted(shares) and 0.5 <= shares[0] < shares[-1] <= 0.75
    seen.clear()
    again = build.make(
        small,
        profile="rtx",
        stage="fine",
        precision="fp16",
        architecture="sm80+sm120",
        library=rtx,
        store=store,
        on_step=lambda step, share: seen.append((step, share)),
    )
    assert again == engine
    assert seen == []


def test_the_store_gives_a_server_no_plan_of_tensorrt_for_rtx(small: Bundle, rtx: Library, store: EngineStore) -> None:
    plan = fine(small, rtx, profile="tensorrt")
    store.publish(plan, lambda folder: (folder / "model.plan").write_bytes(b"") and None)
    with pytest.raises(EngineMismatch, match=r"built with TensorRT for RTX .* whose plans TensorRT does not load"):
        store.find(small, stage="fine", profile="tensorrt", precision="fp16", host=Host(architectures=["sm80"]))


def test_each_architecture_has_its_own_engine(small: Bundle, rtx: Library, store: EngineStore) -> None:
    assert store.get(fine(small, rtx)) is None
    made = store.publish(fine(small, rtx), lambda folder: None)
    assert store.get(fine(small, rtx)) == made
    assert store.get(fine(small, rtx, architecture="sm86")) is None


def test_stages_and_precisions_that_tensorrt_lacks_are_refused(small: Bundle, rtx: Library) -> None:
    with pytest.raises(
        BuildError, match=r"semantic is not a stage that TensorRT runs in the profile trtllm.*--profile trtllm"
    ):
        build.manifest(small, profile="trtllm", stage="semantic", precision="fp16", architecture="sm80", library=rtx)
    with pytest.raises(BuildError, match=r"encodec_encode cannot be built in fp16\. It has fp32"):
        build.manifest(small, profile="rtx", stage="encodec_encode", precision="fp16", architecture="sm80", library=rtx)


def test_a_refused_architecture_leaves_nothing(small: Bundle, rtx: Library, store: EngineStore) -> None:
    with pytest.raises(BuildError, match="does not build all networks for sm90"):
        build.make(small, profile="rtx", stage="fine", precision="fp16", architecture="sm90", library=rtx, store=store)
    assert [path.name for path in store.root.iterdir()] == [".locks"]


@pytest.mark.usefixtures("exported_before")
def test_a_graph_that_fails_its_check_is_not_compiled(
    small: Bundle, rtx: Library, store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "MIN_SIGNAL_DB", {"fp16": 200.0})
    steps: list[str] = []
    with pytest.raises(ExportError, match="200 dB must be"):
        build.make(
            small,
            profile="rtx",
            stage="fine",
            precision="fp16",
            architecture="sm80",
            library=rtx,
            store=store,
            on_step=lambda step, share: steps.append(step),
        )
    assert steps == ["export", "check"]
    assert [path.name for path in store.root.iterdir()] == [".locks"]


@pytest.mark.usefixtures("exported_before")
def test_ctrl_c_ends_the_compiler_even_during_a_log_message(
    small: Bundle, rtx: Library, store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal handler runs in the callback that comes next. If that is the logger's, an exception would be lost."""
    shares: list[float] = []

    def interrupted(trt: Any) -> Any:
        log = make_logger(trt)

        class Log(type(log)):  # type: ignore[misc]
            def log(self, severity: Any, message: str) -> None:
                if shares:
                    signal.raise_signal(signal.SIGINT)
                super().log(severity, message)

        return Log()

    make_logger, before = compiler.make_logger, signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(compiler, "make_logger", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build.make(
            small,
            profile="rtx",
            stage="encodec_decode",
            precision="fp32",
            architecture="sm80",
            library=rtx,
            store=store,
            on_step=lambda step, share: shares.append(share) if step == "compile" and share > 0.5 else None,
        )
    assert shares
    assert [path.name for path in store.root.iterdir()] == [".locks"]
    assert signal.getsignal(signal.SIGINT) is before


def command(bundle: Bundle, engines: Path, *options: str) -> list[str]:
    program = "from build_engines.cli import app; app(prog_name='bark-build')"
    where = ["--bundle", str(bundle.folder), "--engines", str(engines)]
    return [
        sys.executable,
        "-c",
        program,
        "engines",
        "--profile",
        "rtx",
        *where,
        *options,
    ]


def test_after_a_kill_the_same_command_builds_only_what_is_missing(
    small: Bundle, rtx: Library, store: EngineStore
) -> None:
    """The builder is killed when the first engine is finished and the second one has been started."""
    options = ["--gpu", "sm80", "--stage", "fine", "--stage", "encodec_decode"]
    process = subprocess.Popen(
        command(small, store.root, *options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    )
    deadline = time.monotonic() + 240
    while not (list(store.root.glob("*/model.plan")) and list(store.root.glob(".building-*/graph"))):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)  # what another process writes has no event to wait for
    os.kill(process.pid, signal.SIGKILL)
    process.wait(30)
    [first] = store.list()
    assert list(store.root.glob(".building-*"))
    done = subprocess.run(
        command(small, store.root, *options), capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert "1 exist, 1 to build" in done.stderr
    assert first.folder in [engine.folder for engine in store.list()]
    assert sorted(engine.manifest.stage for engine in store.list()) == ["encodec_decode", "fine"]
    assert not list(store.root.glob(".building-*"))
    assert store.verify() == []


def test_two_builders_at_the_same_time_build_each_engine_once(small: Bundle, rtx: Library, store: EngineStore) -> None:
    arguments = command(small, store.root, "--gpu", "sm80", "--stage", "fine")
    processes = [
        subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [process.communicate(timeout=240)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    [engine] = store.list()
    assert all(str(engine.folder) in text or "1 exist, 0 to build" in text for text in said)
    assert store.verify() == []
