"""The ``config.pbtxt`` of the tensorrtllm backend: Triton's syntax, the published names and types, the cache's size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from bark_serving.bundle import Bundle
from bark_serving.profiles import Precision
from bark_serving.server import binary
from bark_serving.server.repository import templates_folder
from bark_serving.speech.stage_capabilities import StageCapabilities
from build_engines.trtllm.versions import RELEASES, Release
from tests.build_engines.trtllm.published import PUBLISHED
from tests.build_engines.trtllm.rendering import render_repository
from tests.bundles import random_bundle, small_spec


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return random_bundle(tmp_path_factory.mktemp("templates") / "bundle", small_spec(), networks=[])


def render(bundle: Bundle, folder: Path, **options: Any) -> dict[str, Any]:
    """The two stages' configs and ``bark``'s."""
    output = render_repository(bundle, folder, **options)
    assert [path.parent.parent.name for path in output.glob("*/1/model.py")] == ["bark"]
    configs = {}
    for name in ("semantic", "coarse", "bark"):
        text = (output / name / "config.pbtxt").read_text()
        assert "${" not in text and "{{" not in text and "{%" not in text
        configs[name] = text_format.Parse(text, model_config_pb2.ModelConfig())
    return configs


def parameters(config: Any) -> dict[str, str]:
    return {key: value.string_value for key, value in config.parameters.items()}


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("stage", ["semantic", "coarse"])
@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
def test_names_and_types_are_those_of_the_backend(
    bundle: Bundle, tmp_path: Path, release: Release, stage: str, precision: Precision
) -> None:
    config = render(bundle, tmp_path, release=release, precision=precision)[stage]
    known = PUBLISHED[release]["model"]
    assert config.backend == known["backend"] and config.name == stage
    types = model_config_pb2.DataType
    for one in config.input:
        kind, dims = known["inputs"][one.name]
        if one.name == "prompt_embedding_table":
            engine = "bfloat16" if precision == "bf16" else "float16"
            kind = known["prompt_embedding_table"][engine]
        assert types.Name(one.data_type) == f"TYPE_{kind}" and list(one.dims) == dims, one.name
        assert one.optional == (one.name not in [*known["required"], "input_ids"]), one.name
        assert one.HasField("reshape") == (dims == [1]), one.name
    for one in config.output:
        kind, dims = known["outputs"][one.name]
        assert types.Name(one.data_type) == f"TYPE_{kind}" and list(one.dims) == dims
    assert {one.name for one in config.output} == set(known["needed_outputs"])
    given = parameters(config)
    assert set(known["needed_parameters"]) <= set(given) <= set(known["parameters"])
    for name, choices in known["values"].items():
        assert given[name] in choices
    assert all(given[name] in ("true", "false") for name in known["booleans"])


def test_parameters_that_bark_relies_on(bundle: Bundle, tmp_path: Path) -> None:
    configs = render(bundle, tmp_path)
    for stage in ("semantic", "coarse"):
        given = parameters(configs[stage])
        assert given["enable_kv_cache_reuse"] == "false"
        assert given["exclude_input_in_output"] == "true"
        assert given["gpt_model_type"] == "inflight_fused_batching"
        assert given["gpt_model_path"] == str(tmp_path / f"engine of {stage}")
        assert not configs[stage].model_transaction_policy.decoupled
    names = {one.name for one in configs["coarse"].input}
    assert "prompt_embedding_table" not in names and "min_eos_p" not in names and "hold" not in names


@pytest.mark.parametrize(("max_batch", "sequences"), [(1, 1), (8, 8), (64, 16)])
def test_the_cache_has_room_for_all_concurrent_sequences(
    bundle: Bundle, tmp_path: Path, max_batch: int, sequences: int
) -> None:
    config = render(bundle, tmp_path, max_batch=max_batch)["semantic"]
    room = int(parameters(config)["max_tokens_in_paged_kv_cache"])
    positions = bundle.spec.semantic.prefill + bundle.spec.semantic.max_steps
    for block in (32, 64, 128):
        assert room // block >= sequences * -(-positions // block)
    assert room < sequences * (positions + 128)
    assert config.max_batch_size == max_batch


def test_each_gpu_has_an_instance(bundle: Bundle, tmp_path: Path) -> None:
    config = render(bundle, tmp_path, gpus=(0, 2, 3))["coarse"]
    (group,) = config.instance_group
    assert (group.kind, group.count) == (model_config_pb2.ModelInstanceGroup.KIND_CPU, 3)
    assert parameters(config)["gpu_device_ids"] == "0;2;3"
    found = binary.Triton(binary=tmp_path / "bin/tritonserver", wheel=False)
    assert binary.environment(found, {}, repository=tmp_path / "trtllm")[binary.ORCHESTRATOR] == "1"
    other = tmp_path / "one"
    render(bundle, other)
    assert binary.ORCHESTRATOR not in binary.environment(found, {}, repository=other / "trtllm")


@pytest.mark.parametrize(("precision", "table"), [("fp16", "FP16"), ("bf16", "BF16"), ("int8", "FP16")])
def test_bark_gets_the_capabilities_of_the_semantic_stage(
    bundle: Bundle, tmp_path: Path, precision: Precision, table: str
) -> None:
    configs = render(bundle, tmp_path, precision=precision)
    capabilities = StageCapabilities.model_validate_json(parameters(configs["bark"])["capabilities"])
    assert not capabilities.own_inputs and capabilities.built_in is not None and capabilities.whole_windows
    assert (capabilities.built_in.temperature, capabilities.built_in.min_eos_p) == (0.7, 0.2)
    declared = next(one for one in configs["semantic"].input if one.name == "prompt_embedding_table")
    assert model_config_pb2.DataType.Name(declared.data_type) == f"TYPE_{capabilities.table_type}" == f"TYPE_{table}"
    sent = capabilities.encode_table(np.zeros((2, 3), np.float32))
    assert sent.dtype.itemsize == 2 and sent.shape == (2, 3)


def test_a_template_with_an_undefined_name_fails(bundle: Bundle, tmp_path: Path) -> None:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_folder()), undefined=jinja2.StrictUndefined
    )
    with pytest.raises(jinja2.UndefinedError):
        environment.get_template("semantic/config.trtllm.pbtxt.j2").render()
