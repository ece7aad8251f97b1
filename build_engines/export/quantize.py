"""Integer weights in two layouts, one per way to run a transformer. Everything but the linear layers stays in fp32.

`quantize_blockwise` is for decode steps. A step reads every weight once, so the bytes per weight decide the speed.
Weights are int8 or int4 in blocks with one scale per block (ONNX Runtime's MatMulNBits, activations int8 on the fly).

`quantize_matmuls_int8` is for many positions at once (prefill, the fine stage), where arithmetic decides the speed.
Weights are int8 with one scale per column, activations with one scale per row, and the product is one integer matrix
multiplication. Each row has its own scale, so its result does not depend on the other rows. Measured against blocks on
Zen 5: 1.6 times as fast at 887 positions, 0.8 times at one position.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Container
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from bark_serving.arrays import Array, Floats
from build_engines.errors import ExportError
from build_engines.export.operators import CONTRIB

#: Bits per weight → maximum number of weights that share a scale. Long blocks have fewer scales. With 8 bits, a
#: decode step of Bark small takes 7 to 10 % less time with 256 than with 64, and its logits are as close to fp32's.
#: With 4 bits, 128 would save as much against 32, but the error of the logits grows by half.
BLOCKS = {8: 256, 4: 32}
#: Bits per weight → the block length from which ONNX Runtime 1.32 sums an odd last row in another order on some
#: processors: AVX-512 with 8 bits from 128 and with 4 bits from 64, AVX2 with 4 bits from 32. At run time the server
#: measures whether its processor does. See `build_engines.export.row_pairs`.
_MIN_PAIRED_BLOCK = {8: 128, 4: 32}
ACCURACY_LEVEL = 4  # int8 activations


def quantize_blockwise(model: ModelProto, *, bits: int) -> ModelProto:
    """Quantize every MatMul by a constant; products of two activations (the fine stage's gathered head) stay fp32.

    Changes `model`. Raises `ExportError` when nothing could be quantized.
    """
    block = block_size(model, bits=bits)
    quantizer = _quantizer_class()(model, bits=bits, block_size=block, is_symmetric=True, accuracy_level=ACCURACY_LEVEL)
    quantizer.process()
    quantized: ModelProto = quantizer.model.model
    constants = {tensor.name for tensor in quantized.graph.initializer}
    missed = [node.name for node in quantized.graph.node if _is_linear(node, constants)]
    done = sum(node.op_type == "MatMulNBits" for node in quantized.graph.node)
    if missed or not done:
        raise ExportError(f"{len(missed)} linear layers stayed in fp32 ({', '.join(missed[:3])}), {done} did not.")
    if not any(opset.domain == CONTRIB for opset in quantized.opset_import):
        raise ExportError(f"The quantized graph does not import {CONTRIB}.")
    return quantized


def block_size(model: ModelProto, *, bits: int) -> int:
    """The longest block that `BLOCKS` allows and that divides the rows of every linear layer. So none is padded."""
    constants = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    rows = [constants[node.input[1]][0] for node in model.graph.node if _is_linear(node, constants)]
    return math.gcd(BLOCKS[bits], *rows)


def needs_even_rows(model: ModelProto, *, bits: int) -> bool:
    """Whether an odd last row may get other results than a row of a pair, once `model` is quantized blockwise."""
    return block_size(model, bits=bits) >= _MIN_PAIRED_BLOCK[bits]


def _is_linear(node: NodeProto, constants: Container[str]) -> bool:
    return node.op_type == "MatMul" and node.input[1] in constants


def quantize_matmuls_int8(model: ModelProto) -> ModelProto:
    """A copy of the graph in which every MatMul by a constant is an integer product with a scale per row and column.

    Raises `ExportError` when there is none.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[NodeProto] = []
    tensors = [numpy_helper.from_array(array, name) for name, array in _SHARED.items()]
    replaced = set()
    for node in model.graph.node:
        if not _is_linear(node, constants):
            nodes.append(node)
            continue
        replaced.add(node.input[1])
        more_nodes, more_tensors = _integer_product(node, numpy_helper.to_array(constants[node.input[1]]))
        nodes += more_nodes
        tensors += more_tensors
    if not replaced:
        raise ExportError("The graph has no linear layer to quantize.")
    tensors += [tensor for name, tensor in constants.items() if name not in replaced]
    graph = helper.make_graph(nodes, model.graph.name, model.graph.input, model.graph.output, tensors)
    domains = {opset.domain: opset.version for opset in model.opset_import} | {CONTRIB: 1}
    opsets = [helper.make_opsetid(domain, version) for domain, version in domains.items()]
    return helper.make_model(graph, opset_imports=opsets, ir_version=model.ir_version)


#: Constants that all products share. Activations are unsigned with 128 as zero, as the integer kernels require.
_SHARED: dict[str, Array] = {
    "int8_last_axis": np.array([-1]),
    "int8_second_axis": np.array([1]),
    "int8_step": np.array(1 / 127, np.float32),
    "int8_tiny": np.array(1e-12, np.float32),
    "int8_one": np.array(1, np.float32),
    "int8_zero_of_rows": np.array(128, np.uint8),
    "int8_zero_of_columns": np.array(0, np.int8),
    "int8_start": np.array([0]),
}


def _integer_product(node: NodeProto, weight: Floats) -> tuple[list[NodeProto], list[TensorProto]]:
    """The nodes and constants that replace ``MatMul(x [.., k], weight [k, n])``."""
    (x, name), (y,) = node.input, node.output
    scale = np.maximum(np.abs(weight).max(0) / 127, np.float32(1e-12))
    columns = np.clip(np.round(weight / scale), -127, 127).astype(np.int8)

    def of(suffix: str) -> str:
        return f"{name}_{suffix}"

    def make(operator: str, inputs: list[str], output: str, **attributes: Any) -> NodeProto:
        return helper.make_node(operator, inputs, [output], **attributes)

    tensors = {
        of("columns"): columns,
        of("column_scale"): scale,
        of("flat"): np.array([-1, weight.shape[0]]),
        of("width"): np.array([weight.shape[1]]),
    }
    nodes = [
        make("Reshape", [x, of("flat")], of("x")),
        make("ReduceMax", [of("x"), "int8_last_axis"], of("max"), keepdims=0),
        make("ReduceMin", [of("x"), "int8_last_axis"], of("min"), keepdims=0),
        make("Neg", [of("min")], of("negative_min")),
        make("Max", [of("max"), of("negative_min"), "int8_tiny"], of("range")),
        make("Mul", [of("range"), "int8_step"], of("row_scale")),
        make("Shape", [of("row_scale")], of("rows")),
        make("Expand", ["int8_zero_of_rows", of("rows")], of("zeros")),
        make("QuantizeLinear", [of("x"), of("row_scale"), of("zeros")], of("q"), axis=0),
        make(
            "MatMulIntegerToFloat",
            [of("q"), of("columns"), "int8_one", of("column_scale"), "int8_zero_of_rows", "int8_zero_of_columns"],
            of("product"),
            domain=CONTRIB,
        ),
        make("Unsqueeze", [of("row_scale"), "int8_second_axis"], of("row_scales")),
        make("Mul", [of("product"), of("row_scales")], of("y")),
        make("Shape", [x], of("shape")),
        make("Slice", [of("shape"), "int8_start", "int8_last_axis"], of("leading")),
        make("Concat", [of("leading"), of("width")], of("y_shape"), axis=0),
        make("Reshape", [of("y"), of("y_shape")], y),
    ]
    return nodes, [numpy_helper.from_array(array, key) for key, array in tensors.items()]


def _quantizer_class() -> Any:
    """ONNX Runtime's quantizer. Importing it sends every library's log to the terminal; this function undoes that."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("onnxruntime.quantization").setLevel(logging.WARNING)
    return MatMulNBitsQuantizer
