"""The ``config.pbtxt`` of the stages that are TensorRT plans: Triton's syntax, the plans' tensors and batch sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from bark_serving.bundle import Bundle
from bark_serving.engines.store import EngineStore
from bark_serving.profiles import Stage, stage_precision
from bark_serving.server import repository
from bark_serving.server.render_settings import RenderSettings
from build_engines.tensorrt import build
from build_engines.tensorrt.library import Library
from tests.build_engines.tensorrt.conftest import NETWORK_STAGES
from tests.bundles import random_bundle, small_spec

TENSORRT = Library("tensorrt", None, "10.11.0.33")
TYPES = {"float32": "TYPE_FP32", "int32": "TYPE_INT32"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return random_bundle(tmp_path_factory.mktemp("templates") / "bundle", small_spec(), networks=[])


def rendered(bundle: Bundle, folder: Path, **options: Any) -> Path:
    """A repository of the four stages, with empty plans that have the manifests of real ones."""
    store, templates = EngineStore(folder / "engines"), folder / "templates"
    templates.mkdir()
    for path in repository.templates_folder().iterdir():
        if path.is_file() or path.name in NETWORK_STAGES:
            (templates / path.name).symlink_to(path)
    for stage in NETWORK_STAGES:
        precision = stage_precision(stage, "fp16", "trtllm")
        manifest = build.manifest(
            bundle, profile="trtllm", stage=stage, precision=precision, architecture="sm90", library=TENSORRT
        )
        store.publish(manifest, lambda folder: (folder / "model.plan").touch())
    settings = RenderSettings(
        bundle=bundle.folder,
        engines=store.root,
        profile="trtllm",
        architecture="sm90",
        **{"gpus": (0,), **options},
    )
    return repository.render_from(templates, settings, output=folder / "repository")


def config(folder: Path, stage: str) -> Any:
    text = (folder / stage / "config.pbtxt").read_text()
    assert "{{" not in text and "{%" not in text
    return text_format.Parse(text, model_config_pb2.ModelConfig())


@pytest.mark.parametrize("stage", NETWORK_STAGES)
def test_inputs_and_outputs_are_those_of_the_plan(bundle: Bundle, tmp_path: Path, stage: Stage) -> None:
    parsed = config(rendered(bundle, tmp_path), stage)
    assert (parsed.name, parsed.backend) == (stage, "tensorrt")
    manifest = build.manifest(
        bundle,
        profile="trtllm",
        stage=stage,
        precision=stage_precision(stage, "fp16", "trtllm"),
        architecture="sm90",
        library=TENSORRT,
    )
    for declared, tensors in ((manifest.inputs, parsed.input), (manifest.outputs, parsed.output)):
        assert [tensor.name for tensor in tensors] == list(declared)
        for tensor in tensors:
            info = declared[tensor.name]
            assert model_config_pb2.DataType.Name(tensor.data_type) == TYPES[info.dtype]
            assert info.axes[0] == "batch"  # Triton's dims are without it
            for dim, axis in zip(tensor.dims, info.axes[1:], strict=True):
                fixed = manifest.shapes.get(axis, (0, 0, 1)) if isinstance(axis, str) else (axis, axis, axis)
                assert dim == (fixed[0] if fixed[0] == fixed[2] else -1), (tensor.name, axis)


def test_the_configs_accept_the_same_requests_as_the_python_backend(bundle: Bundle, tmp_path: Path) -> None:
    """Except for fine windows that are shorter than the plan's, which `bark` refuses, and for the decoder's state.

    A plan of the decoder has no state: with low latency, `bark` decodes a sentence from its start each time.
    """
    output = rendered(bundle, tmp_path)
    settings = RenderSettings(bundle=bundle.folder, engines=tmp_path, profile="torch", gpus=())
    python = repository.render_from(tmp_path / "templates", settings, output=tmp_path / "python")
    for stage in NETWORK_STAGES:
        ours, theirs = config(output, stage), config(python, stage)
        assert theirs.backend == "python"
        others = [one for one in (*theirs.input, *theirs.output) if one.name not in ("state", "next_state")]
        assert len(theirs.input) + len(theirs.output) - len(others) == (2 if stage == "encodec_decode" else 0)
        for plan, other in zip((*ours.input, *ours.output), others, strict=True):
            if stage == "fine":
                plan.dims[:] = [-1 if size == bundle.spec.fine.window else size for size in plan.dims]
            assert plan == other


def test_a_batch_is_at_most_the_plans_and_the_requested_maximum(bundle: Bundle, tmp_path: Path) -> None:
    parsed = {stage: config(rendered(bundle, tmp_path, max_batch=64), stage) for stage in ("fine",)}
    assert parsed["fine"].max_batch_size == 8
    (tmp_path / "less").mkdir()
    less = rendered(bundle, tmp_path / "less", max_batch=1)
    assert {config(less, stage).max_batch_size for stage in NETWORK_STAGES} == {1}


def test_requests_batch_dynamically_on_every_gpu(bundle: Bundle, tmp_path: Path) -> None:
    output = rendered(bundle, tmp_path, gpus=(0, 2))
    for stage in NETWORK_STAGES:
        parsed = config(output, stage)
        assert parsed.dynamic_batching.max_queue_delay_microseconds == repository.QUEUE_DELAY_US
        [group] = parsed.instance_group
        assert group.kind == model_config_pb2.ModelInstanceGroup.KIND_GPU
        assert (list(group.gpus), group.count) == ([0, 2], 1)


def test_the_version_folder_holds_only_a_link_to_the_plan(bundle: Bundle, tmp_path: Path) -> None:
    output = rendered(bundle, tmp_path)
    for stage in NETWORK_STAGES:
        [plan] = (output / stage / "1").iterdir()
        assert plan.name == "model.plan" and plan.is_symlink()
        assert plan.resolve().parent.parent == tmp_path / "engines"
