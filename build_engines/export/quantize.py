"""Weight-only int8: the weights of linear layers in blocks of 64 with one scale each, activations int8 on the fly.

Decoding one token reads every weight once, so bytes a weight decide its speed. ONNX Runtime's MatMulNBits multiplies
int8 by int8 in blocks (accuracy level 4) and keeps everything else in fp32.
"""

from __future__ import annotations

import logging
from typing import Any

from onnx import ModelProto

from build_engines.errors import ExportError
from build_engines.export.operators import CONTRIB

BITS = 8
#: Blocks of 64 cost 3 % more bytes than 128. But from 128 on, ONNX Runtime 1.32's AVX-512 kernel sums an odd last row
#: in another order than rows in pairs, so a token would depend on how many sequences happen to decode beside it.
BLOCK = 64
ACCURACY_LEVEL = 4  # int8 activations


def to_int8(model: ModelProto) -> ModelProto:
    """Quantize every MatMul by a constant; products of two activations (the fine stage's gathered head) stay fp32.

    Changes `model`. Raises `ExportError` when nothing could be quantized.
    """
    quantizer = _quantizer_class()(model, bits=BITS, block_size=BLOCK, is_symmetric=True, accuracy_level=ACCURACY_LEVEL)
    quantizer.process()
    quantized: ModelProto = quantizer.model.model
    constants = {tensor.name for tensor in quantized.graph.initializer}
    left = [node.name for node in quantized.graph.node if node.op_type == "MatMul" and node.input[1] in constants]
    done = sum(node.op_type == "MatMulNBits" for node in quantized.graph.node)
    if left or not done:
        raise ExportError(f"{len(left)} linear layers stayed in fp32 ({', '.join(left[:3])}), {done} did not.")
    if not any(opset.domain == CONTRIB for opset in quantized.opset_import):
        raise ExportError(f"The quantized graph does not import {CONTRIB}.")
    return quantized


def _quantizer_class() -> Any:
    """ONNX Runtime's quantizer. Importing it sends every library's log to the terminal, which is undone here."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("onnxruntime.quantization").setLevel(logging.WARNING)
    return MatMulNBitsQuantizer
