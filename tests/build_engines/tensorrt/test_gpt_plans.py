"""The GPTs' plans: what TensorRT for RTX makes of the graphs, for every architecture, and what is refused."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bark_serving.bundle import MINIATURE, Bundle
from bark_serving.engines.store import MODEL_FILE
from bark_serving.profiles import Precision
from bark_serving.spec import GptSpec, GptStage, Spec
from build_engines.errors import BuildError, ExportError
from build_engines.export import graph
from build_engines.tensorrt import check, dialect, gpt, gpt_check, header, weights
from build_engines.tensorrt.compiler import Plan, build
from build_engines.tensorrt.library import Library
from build_engines.tensorrt.shapes import optimization_profiles, shapes
from tests.build_engines.tensorrt.conftest import declared, without_mask
from tests.bundles import coarse_of_width, random_bundle, true_size_spec

MODERN = ("sm80", "sm86", "sm89", "sm120")
PRECISIONS = ["fp16", pytest.param("bf16", marks=pytest.mark.slow), "int4"]
Graphs = Callable[[Precision], Path]


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A coarse network of four heads, each as wide as Bark's. TensorRT for RTX has no fused attention for two."""
    return random_bundle(tmp_path_factory.mktemp("plans") / "narrow", coarse_of_width(256), networks=["coarse"])


@pytest.fixture(scope="module")
def graphs(narrow: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Graphs:
    return graphs_of(narrow, "coarse", tmp_path_factory.mktemp("narrow"))


def graphs_of(bundle: Bundle, stage: GptStage, folder: Path) -> Graphs:
    """Saved graphs of a stage. Each is exported at the first request."""

    @functools.cache
    def export(precision: Precision) -> Path:
        path = folder / f"{stage}-{precision}" / MODEL_FILE
        path.parent.mkdir()
        graph.save(dialect.export(bundle, stage=stage, precision=precision), path)
        return path

    return export


def compile_gpt(
    bundle: Bundle,
    path: Path,
    library: Library,
    *,
    stage: GptStage = "coarse",
    precision: Precision = "fp16",
    architectures: tuple[str, ...] = ("sm86",),
) -> Plan:
    layers = bundle.spec.gpt(stage).layers
    return build(
        path,
        library=library,
        architectures=architectures,
        shapes=shapes(stage, bundle.spec),
        check_network=functools.partial(gpt.check_network, layers=layers),
        **declared(bundle, stage, precision),  # type: ignore[arg-type]
    )


def assert_fused(plan: Plan, spec: GptSpec, *, precision: Precision) -> None:
    """Both profiles have one fused attention per layer. The one that decodes copies no cache and unpacks no weight."""
    decode = [name for name in plan.kernels if "myl0" in name]
    prefill = [name for name in plan.kernels if "myl1" in name]
    assert sum("mha" in name for name in decode) == sum("mha" in name for name in prefill) == spec.layers
    assert sum("Scat" in name for name in decode) == spec.layers
    assert not [name for name in decode if "ReshTran_" in name or "ReshMove_" in name], "a copy of a cache"
    unpacking = [name for name in decode if "ReplCastMul" in name]
    assert len(unpacking) == (4 * spec.layers if precision == "int4" else 0)
    assert all("Fc" in name for name in unpacking), "weights that are unpacked outside of products"


@pytest.mark.parametrize("precision", PRECISIONS)
def test_one_plan_for_two_gpus_decodes_in_place_with_fused_attention(
    narrow: Bundle, graphs: Graphs, rtx: Library, precision: Precision
) -> None:
    plan = compile_gpt(narrow, graphs(precision), rtx, precision=precision, architectures=("sm86", "sm120"))
    assert header.read(plan.data).architectures == ("sm86", "sm120")
    assert_fused(plan, narrow.spec.coarse.gpt, precision=precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_graphs_compute_what_the_network_does(narrow: Bundle, graphs: Graphs, precision: Precision) -> None:
    gpt_check.check(narrow, stage="coarse", precision=precision, path=graphs(precision))


def test_a_graph_that_is_less_exact_than_its_precision_is_refused(
    narrow: Bundle, graphs: Graphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpt_check, "MIN_SIGNAL_DB", {name: 20 + limit for name, limit in check.MIN_SIGNAL_DB.items()})
    limited: list[Precision] = ["fp16", "int4"]
    for precision in limited:
        with pytest.raises(ExportError, match=r"logits have \d+ dB"):
            gpt_check.check(narrow, stage="coarse", precision=precision, path=graphs(precision))


def spelt_out(model: onnx.ModelProto) -> None:
    """Replace Attention by product, mask, softmax and product."""
    nodes, constants = [], {"scale": np.float16(1 / math.sqrt(64)), "low": np.float16(-6e4), "zero": np.float16(0)}
    for node in model.graph.node:
        if node.op_type != "Attention":
            nodes.append(node)
            continue
        (query, key, value, mask), (out,) = node.input, node.output
        nodes += [
            helper.make_node("Transpose", [key], [f"{out}_kt"], perm=[0, 1, 3, 2]),
            helper.make_node("MatMul", [query, f"{out}_kt"], [f"{out}_s"]),
            helper.make_node("Mul", [f"{out}_s", "scale"], [f"{out}_scaled"]),
            helper.make_node("Where", [mask, "zero", "low"], [f"{out}_bias"]),
            helper.make_node("Add", [f"{out}_scaled", f"{out}_bias"], [f"{out}_masked"]),
            helper.make_node("Softmax", [f"{out}_masked"], [f"{out}_p"], axis=-1),
            helper.make_node("MatMul", [f"{out}_p", value], [out]),
        ]
    graph.replace(model.graph.node, nodes)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())


def by_length(model: onnx.ModelProto) -> None:
    """Say how long the rows are by `nonpad_kv_seqlen`, which ONNX has for it, in place of the mask."""
    without_mask(model)
    for node in model.graph.node:
        if node.op_type == "Attention":
            node.input.extend(["", "", "", "id_sets"])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without_mask, "2 attentions, 0 of them with a mask, and 4"),
        (by_length, "2 attentions, 0 of them with a mask, and 4"),
        (spelt_out, "0 attentions, 0 of them with a mask, and 4"),
    ],
)
def test_a_graph_whose_attention_is_wrong_or_slow_is_refused(
    narrow: Bundle,
    graphs: Graphs,
    rtx: Library,
    tmp_path: Path,
    spoil: Callable[[onnx.ModelProto], None],
    said: str,
) -> None:
    model = onnx.load(str(graphs("fp16")))
    spoil(model)
    graph.save(model, tmp_path / MODEL_FILE)
    with pytest.raises(BuildError, match=said):
        compile_gpt(narrow, tmp_path / MODEL_FILE, rtx)


@pytest.mark.slow
def test_tensorrt_for_rtx_has_no_fused_attention_in_fp32(narrow: Bundle, graphs: Graphs, rtx: Library) -> None:
    with pytest.raises(BuildError, match="Attention operation was not supported by a dedicated kernel"):
        compile_gpt(narrow, graphs("fp32"), rtx, precision="fp32")


def test_a_plan_has_one_profile_to_decode_many_rows_and_one_to_prefill_one(narrow: Bundle) -> None:
    decode, prefill = optimization_profiles(shapes("coarse", narrow.spec))
    assert (decode["batch"], decode["sequence"]) == ((1, 4, 32), (1, 1, 1))
    assert (prefill["batch"], prefill["sequence"]) == ((1, 1, 1), (1, 512, 1024))


def test_int4_weights_are_the_nearest_in_blocks_of_a_column() -> None:
    values = np.random.default_rng(0).standard_normal((256, 3)).astype(np.float32)
    codes, scales = weights.round_to_int4(values)
    assert np.abs(codes).max() == 7 and scales.shape == (2, 3)
    restored = codes * np.repeat(scales, 128, axis=0)
    assert (np.abs(restored - values) <= np.repeat(scales, 128, axis=0) / 2 + 1e-6).all()


def test_int4_weights_are_packed_as_onnx_reads_them(graphs: Graphs) -> None:
    model = onnx.load(str(graphs("int4")))
    packed = [tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.INT4]
    assert len(packed) == 8, "four per layer"
    first = next(tensor for tensor in packed if list(tensor.dims) == [256, 768])
    codes = numpy_helper.to_array(first).astype(np.int8)
    exact = onnx.load(str(graphs("fp16")))
    [weight] = [tensor for tensor in exact.graph.initializer if f"{tensor.name}_int4" == first.name]
    np.testing.assert_array_equal(codes, weights.round_to_int4(numpy_helper.to_array(weight).astype(np.float32))[0])


def test_a_network_that_is_too_narrow_has_no_int4() -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT16, [1, 64]) for name in ("x", "y"))
    constants = [numpy_helper.from_array(np.ones((64, 64), np.float16), name) for name in ("layer", "head")]
    nodes = [helper.make_node("MatMul", ["x", "layer"], ["h"]), helper.make_node("MatMul", ["h", "head"], ["y"])]
    model = helper.make_model(helper.make_graph(nodes, "narrow", [x], [y], constants))
    with pytest.raises(BuildError, match=r"A layer of 64 inputs has no int4.*Build this network in fp16"):
        weights.quantize_int4(model)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["semantic", "coarse"])
def test_the_miniature_has_plans_for_every_architecture(rtx: Library, tmp_path: Path, stage: GptStage) -> None:
    """It is what the GPU image serves by default. Its coarse network has heads of another width than Bark's."""
    bundle = Bundle(MINIATURE)
    plan = compile_gpt(bundle, graphs_of(bundle, stage, tmp_path)("fp16"), rtx, stage=stage, architectures=MODERN)
    assert header.read(plan.data).architectures == MODERN
    assert_fused(plan, bundle.spec.gpt(stage), precision="fp16")


@pytest.fixture(scope="module", params=["small", "large"])
def true_bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    spec = true_size_spec() if request.param == "small" else Spec(name="large")
    return random_bundle(tmp_path_factory.mktemp("true") / request.param, spec, networks=["semantic"])


@pytest.mark.slow
def test_true_sizes_fit_every_architecture(
    true_bundle: Bundle, rtx: Library, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Memory is what the weights take, and little more."""
    spec = true_bundle.spec.semantic.gpt
    exported = graphs_of(true_bundle, "semantic", tmp_path_factory.mktemp("graphs"))
    in_layers, head, positions = (spec.width * rows for rows in (spec.layers * 12 * spec.width, 10_001, 1_024))
    for precision, bytes_each in (("fp16", 2.0), ("bf16", 2.0), ("int4", 0.5 + 2 / weights.BLOCK)):
        chosen: Precision = precision  # type: ignore[assignment]
        groups = [MODERN] if chosen != "fp16" else [MODERN, *((name,) for name in ("sm75", *MODERN, "sm121"))]
        for architectures in groups:
            plan = compile_gpt(
                true_bundle, exported(chosen), rtx, stage="semantic", precision=chosen, architectures=architectures
            )
            assert plan.activations is not None and plan.weights is not None
            print(
                f"\nsemantic {true_bundle.spec.name} {precision} {'+'.join(architectures)}: {plan.seconds:.1f} s, "
                f"plan {len(plan.data) / 1e6:.0f} MB, weights {plan.weights / 1e6:.0f} MB, "
                f"activations {plan.activations / 1e6:.0f} MB"
            )
            assert header.read(plan.data).architectures == architectures
            assert_fused(plan, spec, precision=chosen)
            # the head is there twice, once per profile
            assert plan.weights < 1.1 * (bytes_each * in_layers + 2 * (2 * head + positions))
            assert plan.activations < 150e6
