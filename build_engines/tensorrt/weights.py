"""int4 weights for TensorRT: blocks of a column share a scale.

Symmetric rounding to nearest, one float16 scale per block. TensorRT makes one kernel of the unpacking and the product.
It does not for int8, with a scale per column or per block: such a plan is small, but each step unpacks every weight to
float16 in memory first, and reads and writes more than with float16 weights. So there is no int8.

The head, which decides between tokens, stays in float16. It has few of the weights.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from bark_serving.arrays import Array, Floats
from build_engines.errors import BuildError
from build_engines.export.graph import replace

BLOCK = 128  #: weights that share a scale
_LIMIT = 7  #: int4 has -8 too, which symmetric rounding leaves out


def quantize_int4(model: ModelProto) -> None:
    """Replace the weights of each product of activations and constants but the last, the head. It computes in float16.

    Raises `BuildError` where a network's width is no multiple of `BLOCK`.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    products = [node.output[0] for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in constants]
    nodes, tensors = [], dict(constants)
    for node in model.graph.node:
        if node.output[0] in products[:-1]:
            weight = constants[node.input[1]]
            packed, scales, unpack = _packed(weight)
            del tensors[weight.name]
            tensors |= {packed.name: packed, scales.name: scales}
            nodes.append(unpack)
            node.input[1] = unpack.output[0]
        nodes.append(node)
    replace(model.graph.node, nodes)
    replace(model.graph.initializer, list(tensors.values()))


def _packed(weight: TensorProto) -> tuple[TensorProto, TensorProto, NodeProto]:
    """A weight [k, n] as int4, its scales, and the node that makes float16 of them."""
    name, values = weight.name, numpy_helper.to_array(weight).astype(np.float32)
    if len(values) % BLOCK:
        raise BuildError(
            f"A layer of {len(values)} inputs has no int4: {BLOCK} weights share a scale.",
            remedy="Build this network in fp16 or bf16.",
        )
    codes, scales = round_to_int4(values)
    return (
        helper.make_tensor(f"{name}_int4", TensorProto.INT4, codes.shape, _pairs(codes), raw=True),
        numpy_helper.from_array(scales.astype(np.float16), f"{name}_scales"),
        helper.make_node(
            "DequantizeLinear",
            [f"{name}_int4", f"{name}_scales"],
            [f"{name}_unpacked"],
            axis=0,
            block_size=BLOCK,
        ),
    )


def _pairs(codes: Array) -> bytes:
    """Two codes per byte, the first one in the lower half: ONNX's raw data of int4."""
    first, second = (codes.ravel()[start::2].astype(np.uint8) & 0xF for start in (0, 1))
    return (first | second << 4).tobytes()


def round_to_int4(values: Floats) -> tuple[Array, Floats]:
    """[k, n] weights → codes [k, n] in -7..7 and scales [k / BLOCK, n]."""
    blocks = values.reshape(-1, BLOCK, values.shape[1])
    scales = np.maximum(np.abs(blocks).max(1) / _LIMIT, 1e-7)
    codes = np.clip(np.round(blocks / scales[:, None]), -_LIMIT, _LIMIT)
    return codes.reshape(values.shape).astype(np.int8), scales
