"""Block lengths of quantized weights, and the idle row that long blocks need."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from bark_serving.engines.store import EngineStore
from bark_serving.profiles import Precision
from build_engines.export.build import make
from tests.bundles import coarse_of_width, random_bundle


@pytest.mark.parametrize(
    ("width", "precision", "block", "rows"),
    [(256, "int8", 256, "rows"), (192, "int8", 64, "batch"), (256, "int4", 32, "rows"), (144, "int4", 16, "batch")],
)
def test_blocks_divide_every_layer_and_long_ones_get_a_rows_axis(
    tmp_path: Path, width: int, precision: Precision, block: int, rows: str
) -> None:
    bundle = random_bundle(tmp_path / "bundle", coarse_of_width(width), networks=["coarse"])
    engine = make(bundle, stage="coarse", precision=precision, store=EngineStore(tmp_path / "engines"))
    graph = onnx.load(engine.model).graph
    products = [node for node in graph.node if node.op_type == "MatMulNBits"]
    sizes = [{a.name: onnx.helper.get_attribute_value(a) for a in node.attribute} for node in products]
    assert [size["block_size"] for size in sizes] == [block] * len(products)
    assert all(size["K"] % block == 0 for size in sizes)
    for tensor in (*graph.input, *graph.output):
        first = tensor.type.tensor_type.shape.dim[0].dim_param
        expected = rows if tensor.name in ("embeddings", "positions", "logits") else "batch"
        assert tensor.name == "total_length" or first == expected
    assert engine.manifest.inputs["embeddings"].axes[0] == rows
    assert engine.manifest.outputs["logits"].axes[0] == rows
