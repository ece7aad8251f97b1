"""The engine store: content addresses, whole or nothing, and errors that carry the command that repairs them."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from bark_serving.bundle import Bundle
from bark_serving.engines.compatibility import Host
from bark_serving.engines.manifest import Manifest, TensorInfo, key
from bark_serving.engines.store import EngineBroken, EngineMismatch, EngineMissing, EngineStore, StoreError
from bark_serving.profiles import stage_precision
from bark_serving.spec import Spec


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return make_bundle(tmp_path / "bundle", name="one")


@pytest.fixture
def store(tmp_path: Path) -> EngineStore:
    return EngineStore(tmp_path / "engines")


def make_bundle(folder: Path, *, name: str) -> Bundle:
    folder.mkdir()
    (folder / "spec.json").write_text(Spec(name=name).model_dump_json())
    return Bundle(folder)


def manifest(bundle: Bundle, /, **fields: object) -> Manifest:
    values = {
        "stage": "coarse",
        "profile": "cpu",
        "precision": "int8",
        "bundle": bundle.hash,
        "bundle_name": bundle.spec.name,
        "versions": {"onnxruntime": metadata.version("onnxruntime")},
        "builder": "abc",
        "inputs": {"x": TensorInfo(dtype="float32", axes=("batch", 3))},
        "outputs": {"y": TensorInfo(dtype="float32", axes=("batch",))},
    }
    return Manifest.model_validate(values | fields)


def writes(text: str) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        (folder / "model.onnx").write_text(text)

    return build


def never(folder: Path) -> None:
    raise AssertionError("built again")


def test_a_published_engine_is_found_and_not_built_again(store: EngineStore, bundle: Bundle) -> None:
    made = store.publish(manifest(bundle), writes("graph"))
    again = store.publish(manifest(bundle), never)
    found = store.find(bundle, stage="coarse", precision="int8")
    assert made == again == found
    assert found.model.read_text() == "graph"
    assert found.manifest.created is not None
    assert found.folder.name == key(manifest(bundle))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stage", "semantic"),
        ("precision", "fp32"),
        ("bundle", "f" * 64),
        ("builder", "another"),
        ("architecture", "x86-64"),
        ("shapes", {"batch": (1, 4, 8)}),
        ("versions", {"onnxruntime": "0.1"}),
    ],
)
def test_whatever_decides_the_content_changes_the_key(bundle: Bundle, field: str, value: object) -> None:
    assert key(manifest(bundle)) != key(manifest(bundle, **{field: value}))


@pytest.mark.parametrize(("field", "value"), [("bundle_name", "renamed"), ("seconds", 3.0), ("files", {"a": "b"})])
def test_what_only_describes_an_engine_leaves_the_key(bundle: Bundle, field: str, value: object) -> None:
    assert key(manifest(bundle)) == key(manifest(bundle, **{field: value}))


def test_a_failed_build_leaves_nothing(store: EngineStore, bundle: Bundle) -> None:
    def fail(folder: Path) -> None:
        (folder / "model.onnx").write_text("half")
        raise RuntimeError("wrong numbers")

    with pytest.raises(RuntimeError, match="wrong numbers"):
        store.publish(manifest(bundle), fail)
    assert store.list() == []
    assert [path.name for path in store.root.iterdir()] == [".locks"]
    store.publish(manifest(bundle), writes("whole"))


def test_files_of_an_engine_can_be_read_by_another_user(store: EngineStore, bundle: Bundle) -> None:
    def build(folder: Path) -> None:
        path = folder / "model.onnx"
        path.write_text("graph")
        path.chmod(0o600)

    made = store.publish(manifest(bundle), build)
    assert made.folder.stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in made.folder.iterdir()} == {0o644}


def test_a_relative_store_that_is_empty_says_where_it_was_looked_for(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EngineMissing) as caught:
        EngineStore("build/engines").find(bundle, stage="coarse", precision="int8")
    assert caught.value.problem.startswith(f"There is no folder {tmp_path}/build/engines, so there is no coarse engine")
    assert caught.value.remedy.endswith(
        "If your engines are in another folder, name it: --engines FOLDER, or $BARK_ENGINES."
    )
    (tmp_path / "build/engines").mkdir(parents=True)
    with pytest.raises(EngineMissing, match=f"^{tmp_path}/build/engines has no coarse engine for the cpu profile"):
        EngineStore("build/engines").find(bundle, stage="coarse", precision="int8")


def test_a_missing_engine_names_the_command_that_builds_it(store: EngineStore, bundle: Bundle) -> None:
    with pytest.raises(EngineMissing) as caught:
        store.find(bundle, stage="coarse", precision="int8")
    options = f"--bundle {bundle.folder} --stage coarse --precision int8 --engines {store.root}"
    assert f"bark-build engines --profile cpu {options}" in str(caught.value)


def test_an_engine_of_another_bundle_is_a_mismatch_that_names_both(
    store: EngineStore, bundle: Bundle, tmp_path: Path
) -> None:
    store.publish(manifest(bundle), writes("graph"))
    other = make_bundle(tmp_path / "other", name="two")
    with pytest.raises(EngineMismatch, match=r"made from one \(.*not from two"):
        store.find(other, stage="coarse", precision="int8")


def test_an_engine_in_another_precision_is_a_mismatch(store: EngineStore, bundle: Bundle) -> None:
    store.publish(manifest(bundle), writes("graph"))
    with pytest.raises(EngineMismatch, match="in int8, not in fp32"):
        store.find(bundle, stage="coarse", precision="fp32")


def test_an_engine_for_another_runtime_is_a_mismatch(store: EngineStore, bundle: Bundle) -> None:
    store.publish(manifest(bundle, versions={"onnxruntime": "1.2.3"}), writes("graph"))
    with pytest.raises(EngineMismatch, match=r"was made for ONNX Runtime 1\.2\.3"):
        store.find(bundle, stage="coarse", precision="int8")


def test_find_returns_the_newest_of_several_builders(store: EngineStore, bundle: Bundle) -> None:
    store.publish(manifest(bundle, builder="old"), writes("old"))
    store.publish(manifest(bundle, builder="new"), writes("new"))
    assert store.find(bundle, stage="coarse", precision="int8").model.read_text() == "new"


def test_stages_without_int8_fall_back_to_fp32() -> None:
    assert stage_precision("fine", "int8") == "int8"
    assert stage_precision("encodec_decode", "int8") == "fp32"


def test_verify_names_the_file_that_changed(store: EngineStore, bundle: Bundle) -> None:
    made = store.publish(manifest(bundle), writes("graph"))
    assert store.verify() == []
    made.model.write_text("grapf")
    [error] = store.verify()
    assert isinstance(error, EngineBroken)
    assert str(made.model) in str(error)
    made.model.unlink()
    assert "is missing" in str(store.verify()[0])


def test_a_broken_engine_names_the_command_that_removes_it_from_its_own_store(bundle: Bundle, tmp_path: Path) -> None:
    store = EngineStore(tmp_path / "my engines")
    changed = store.publish(manifest(bundle), writes("graph"))
    unreadable = store.publish(manifest(bundle, stage="fine"), writes("graph"))
    changed.model.write_text("grapf")
    (unreadable.folder / "manifest.json").write_text("{")
    command = f"`bark-build prune --engines '{store.root}'`"
    assert [command in error.remedy for error in store.verify()] == [True, True]
    command = store.build_command(bundle, stage="fine", profile="cpu", precision="int8", host=Host())
    assert command.endswith(f"--engines '{store.root}'")


def test_a_file_is_no_store_and_neither_is_what_would_be_in_it(tmp_path: Path) -> None:
    file, link = tmp_path / "x.csv", tmp_path / "link"
    file.touch()
    link.symlink_to(tmp_path / "none")  # as to a disk that is not there
    for no_folder in (file, link):
        for root in (no_folder, no_folder / "engines"):
            with pytest.raises(StoreError, match=f"{no_folder} is not a folder, so it keeps no engines"):
                EngineStore(root)


def test_prune_removes_the_broken_the_replaced_and_what_is_not_kept(
    store: EngineStore, bundle: Bundle, tmp_path: Path
) -> None:
    other = make_bundle(tmp_path / "other", name="two")
    old = store.publish(manifest(bundle, builder="old"), writes("old"))
    new = store.publish(manifest(bundle, builder="new"), writes("new"))
    foreign = store.publish(manifest(other), writes("foreign"))
    broken = store.publish(manifest(bundle, stage="fine"), writes("broken"))
    broken.model.write_text("changed")
    leftover = store.root / f".building-{'0' * 32}-abc"
    leftover.mkdir()
    expected = {old.folder, foreign.folder, broken.folder, leftover}
    assert set(store.prune(keep=[bundle.hash], dry_run=True)) == expected
    assert foreign.folder.exists()
    assert set(store.prune(keep=[bundle.hash])) == expected
    assert [engine.folder for engine in store.list()] == [new.folder]
    assert store.prune() == []


def test_prune_leaves_alone_what_is_no_engine(store: EngineStore, bundle: Bundle) -> None:
    store.publish(manifest(bundle), writes("graph"))
    for name in ("bundles", "0123", "src"):
        (store.root / name).mkdir()
    assert store.prune() == []
    assert store.verify() == []
    assert {"bundles", "0123", "src"} <= {path.name for path in store.root.iterdir()}


@pytest.mark.parametrize(
    ("profile", "older", "newer", "goes"),
    [
        ("cpu", {"onnxruntime": "1.31.0"}, {"onnxruntime": "1.31.2"}, True),
        ("cpu", {"onnxruntime": "1.31.0"}, {"onnxruntime": "1.32.0"}, False),
        ("tensorrt", {"tensorrt_llm": "1.0.0"}, {"tensorrt_llm": "1.2.1"}, False),
        ("tensorrt", {"tensorrt": "10.11.0.33"}, {"tensorrt_rtx": "1.7.0.11"}, False),
        ("tensorrt", {"tensorrt": "10.11.0.33", "onnx": "1.20"}, {"tensorrt": "10.11.0.40", "onnx": "1.21"}, True),
    ],
)
def test_prune_takes_an_engine_only_where_the_newer_one_loads_too(
    store: EngineStore, bundle: Bundle, profile: str, older: dict[str, str], newer: dict[str, str], *, goes: bool
) -> None:
    old = store.publish(manifest(bundle, profile=profile, versions=older), writes("old"))
    store.publish(manifest(bundle, profile=profile, versions=newer), writes("new"))
    assert store.prune() == ([old.folder] if goes else [])


def test_a_replaced_engine_is_kept_when_its_successor_is_broken(store: EngineStore, bundle: Bundle) -> None:
    old = store.publish(manifest(bundle, builder="old"), writes("old"))
    new = store.publish(manifest(bundle, builder="new"), writes("new"))
    new.model.write_text("changed")
    assert store.prune() == [new.folder]
    assert store.find(bundle, stage="coarse", precision="int8").folder == old.folder


def test_an_unreadable_manifest_is_reported_and_rebuilt(store: EngineStore, bundle: Bundle) -> None:
    made = store.publish(manifest(bundle), writes("graph"))
    (made.folder / "manifest.json").write_text("{")
    assert store.list() == []
    assert "manifest.json cannot be read" in str(store.verify()[0])
    assert store.publish(manifest(bundle), writes("anew")).model.read_text() == "anew"


def test_the_manifest_on_disk_is_plain_json(store: EngineStore, bundle: Bundle) -> None:
    made = store.publish(manifest(bundle), writes("graph"))
    document = json.loads((made.folder / "manifest.json").read_text())
    assert document["stage"] == "coarse"
    assert document["inputs"]["x"]["axes"] == ["batch", 3]
    assert list(document["files"]) == ["model.onnx"]


def _slow_build(folder: Path) -> None:
    (folder / "model.onnx").write_text("slow")
    (folder.parent / f"{os.getpid()}.built").touch()
    time.sleep(0.5)  # the work that the other process has to wait for


def _publish(root: str, bundle: str) -> None:
    opened = Bundle(bundle)
    EngineStore(root).publish(manifest(opened), _slow_build)


def test_two_processes_build_an_engine_once(store: EngineStore, bundle: Bundle) -> None:
    context = multiprocessing.get_context("fork")
    arguments = (str(store.root), str(bundle.folder))
    processes = [context.Process(target=_publish, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(list(store.root.glob("*.built"))) == 1


def _hang(root: str, bundle: str) -> None:
    def build(folder: Path) -> None:
        (folder / "model.onnx").write_text("half")
        signal.pause()

    EngineStore(root).publish(manifest(Bundle(bundle)), build)


def test_a_killed_builder_leaves_no_engine_and_blocks_nobody(store: EngineStore, bundle: Bundle) -> None:
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_hang, args=(str(store.root), str(bundle.folder)))
    process.start()
    deadline = time.monotonic() + 30
    while not list(store.root.glob(".building-*/model.onnx")):  # the other process's progress has no event to wait for
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert store.prune() == []  # it is at work: not a leftover
    process.kill()
    process.join(30)
    assert store.list() == []
    assert store.publish(manifest(bundle), writes("whole")).model.read_text() == "whole"
    assert not list(store.root.glob(".building-*"))


def test_prune_keeps_what_a_server_uses_and_says_so(store: EngineStore, bundle: Bundle) -> None:
    old = store.publish(manifest(bundle, builder="old"), writes("old"))
    new = store.publish(manifest(bundle, builder="new"), writes("new"))
    kept: list[Path] = []
    assert store.prune(keep=[], in_use={old.folder.resolve()}, on_kept=kept.append) == [new.folder]
    assert kept == [old.folder] and old.folder.exists()
