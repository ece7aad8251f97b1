"""The graphs in TensorRT's dialect: their operators and types, and that they compute the same as the networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto

from bark_serving.bundle import Bundle
from bark_serving.engines.store import MODEL_FILE
from bark_serving.profiles import TABLE, Precision, Stage
from build_engines.errors import ExportError
from build_engines.export import graph
from build_engines.tensorrt import check, dialect
from tests.build_engines.tensorrt.conftest import NETWORK_STAGES, SmallGraph
from tests.bundles import random_bundle, small_spec

pytestmark = pytest.mark.slow  # graphs are exported, and plans built: minutes

CASES = [(stage, precision) for stage in NETWORK_STAGES for precision in TABLE["trtllm"].stages[stage].precisions]
LSTMS = {"fine": 0, "encodec_decode": 2, "encodec_encode": 2, "hubert": 2}


@pytest.fixture(scope="module")
def models(small_graph: SmallGraph) -> dict[tuple[Stage, Precision], ModelProto]:
    return {case: small_graph(*case) for case in CASES}


def weights(model: ModelProto) -> dict[str, int]:
    """Types of the float initializers that have more than one number."""
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16)
    return {t.name: t.data_type for t in model.graph.initializer if t.data_type in floats and np.prod(t.dims) > 1}


@pytest.mark.parametrize(("stage", "precision"), CASES)
def test_a_graph_has_only_onnx_operators_one_per_lstm_layer_and_no_elu(
    models: Any, stage: Stage, precision: Precision
) -> None:
    nodes = models[stage, precision].graph.node
    assert {node.domain for node in nodes} == {""}
    assert sum(node.op_type == "LSTM" for node in nodes) == LSTMS[stage]
    assert not {"Elu", "Loop", "Scan", "If", "Attention"} & {node.op_type for node in nodes}


@pytest.mark.parametrize(("stage", "precision"), CASES)
def test_types_at_the_boundary_do_not_depend_on_the_precision(models: Any, stage: Stage, precision: Precision) -> None:
    boundary = (*models[stage, precision].graph.input, *models[stage, precision].graph.output)
    assert {t.type.tensor_type.elem_type for t in boundary} <= {TensorProto.FLOAT, TensorProto.INT32}


def test_what_decides_between_tokens_stays_in_fp32(models: Any) -> None:
    assert set(weights(models["fine", "fp16"]).values()) == {TensorProto.FLOAT16}
    assert set(weights(models["encodec_decode", "fp16"]).values()) == {TensorProto.FLOAT16}
    assert set(weights(models["encodec_encode", "fp32"]).values()) == {TensorProto.FLOAT}
    hubert = weights(models["hubert", "fp16"])
    kinds = {
        part: {kind for name, kind in hubert.items() if part in name} for part in ("feature_", "encoder.", "head.")
    }
    assert kinds["feature_"] == kinds["encoder."] == {TensorProto.FLOAT16}
    assert kinds["head."] == {TensorProto.FLOAT}


def test_the_fine_stage_samples_in_fp32(models: Any) -> None:
    model = onnx.shape_inference.infer_shapes(models["fine", "fp16"])
    types = {info.name: info.type.tensor_type.elem_type for info in model.graph.value_info}
    [cumulative] = [node for node in model.graph.node if node.op_type == "CumSum"]
    [argmax] = [node for node in model.graph.node if node.op_type == "ArgMax"]
    softmaxes = [node for node in model.graph.node if node.op_type == "Softmax"]
    assert types[cumulative.input[0]] == TensorProto.FLOAT
    assert cumulative.input[0] in {node.output[0] for node in softmaxes}
    assert argmax.input[0] == "logits"


@pytest.mark.parametrize(("stage", "precision"), CASES)
def test_a_graph_computes_the_same_as_its_network(
    models: Any, small: Bundle, tmp_path: Path, stage: Stage, precision: Precision
) -> None:
    graph.save(models[stage, precision], tmp_path / MODEL_FILE)
    check.check(small, stage=stage, precision=precision, folder=tmp_path)  # raises if an output differs


@pytest.mark.parametrize(("stage", "precision"), CASES)
def test_the_check_refuses_a_graph_of_other_weights(
    models: Any, tmp_path: Path, stage: Stage, precision: Precision
) -> None:
    graph.save(models[stage, precision], tmp_path / MODEL_FILE)
    other = random_bundle(tmp_path / "other", small_spec(), networks=["fine", "encodec", "hubert"], seed=1)
    with pytest.raises(ExportError, match=f"{stage} in {precision} at batch 1 and length"):
        check.check(other, stage=stage, precision=precision, folder=tmp_path)


def test_the_check_refuses_a_wrong_token_head(models: Any, small: Bundle, tmp_path: Path) -> None:
    broken = ModelProto()
    broken.CopyFrom(models["hubert", "fp16"])
    [bias] = [t for t in broken.graph.initializer if t.name.endswith("head.out.bias")]
    values = onnx.numpy_helper.to_array(bias).copy()
    values[7] += 10
    bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
    graph.save(broken, tmp_path / MODEL_FILE)
    with pytest.raises(ExportError, match=r"a token scores .* below the best"):
        check.check(small, stage="hubert", precision="fp16", folder=tmp_path)


def test_the_check_tells_half_precision_from_single(models: Any, small: Bundle, tmp_path: Path) -> None:
    graph.save(models["encodec_decode", "fp16"], tmp_path / MODEL_FILE)
    with pytest.raises(ExportError, match=r"audio have \d+ dB of signal over error, 90 dB must be"):
        check.check(small, stage="encodec_decode", precision="fp32", folder=tmp_path)


def test_outputs_that_a_plan_does_not_need_are_removed(models: Any, small: Bundle, tmp_path: Path) -> None:
    path = tmp_path / MODEL_FILE
    for stage, names in {"fine": ["predictions"], "hubert": ["tokens"]}.items():
        graph.save(models[stage, "fp16"], path)
        kept = dialect.plan_outputs(small.spec, stage=stage, precision="fp16")  # type: ignore[arg-type]
        dialect.keep_outputs(path, kept)
        assert [output.name for output in onnx.load(str(path)).graph.output] == names
