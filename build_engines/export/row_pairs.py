"""Gives the linear layers of a decode step an even number of rows, also for an odd number of sequences.

ONNX Runtime's products with long blocks of weights process rows in pairs, and sum an odd last row in another order.
So a step with an odd number of sequences gets an idle row. It passes through all layers except attention. Then the
tokens of a sequence do not depend on the number of sequences that decode with it. An idle row costs its arithmetic
only.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from build_engines.export.graph import replace
from build_engines.export.graphs import Axes
from build_engines.export.operators import attentions

#: Tensors with a row per sequence and one for the idle row. The cache and the lengths have a row per sequence only.
_ROWS = ("embeddings", "positions", "logits")
_TO_THE_END = 2**31 - 1


def pad_rows_to_even(model: ModelProto, *, width: int) -> None:
    """Let a graph take more rows of embeddings than it has sequences. Only the first rows take part in attention.

    width: of the network. An idle row's output of attention has no meaning.
    """
    constants = {"pairs_zero": [0], "pairs_axes": [0, 2], "pairs_end": [_TO_THE_END, width]}
    model.graph.initializer.extend(numpy_helper.from_array(np.array(value), name) for name, value in constants.items())
    nodes = [
        helper.make_node("Shape", ["seqlens"], ["pairs_count"]),
        helper.make_node("Concat", ["pairs_count", "pairs_zero"], ["pairs_idle"], axis=0),
    ]
    attending = {node.output[0] for node in attentions(model)}
    for node in model.graph.node:
        nodes += _attention_beside_idle_row(node) if node.output and node.output[0] in attending else [node]
    replace(model.graph.node, nodes)
    for tensor in (*model.graph.input, *model.graph.output):
        if tensor.name in _ROWS:
            tensor.type.tensor_type.shape.dim[0].dim_param = "rows"


def with_rows_axis(axes: Axes) -> Axes:
    """The axes with the label ``rows`` where a tensor has idle rows."""
    return {
        name: info.model_copy(update={"axes": ("rows", *info.axes[1:])}) if name in _ROWS else info
        for name, info in axes.items()
    }


def _attention_beside_idle_row(attention: NodeProto) -> list[NodeProto]:
    """Attention of the sequences' rows, then the idle row appended if there is one."""
    (qkv, *_), (attended, *_) = attention.input, attention.output
    inner = NodeProto()
    inner.CopyFrom(attention)
    inner.input[0], inner.output[0] = f"{qkv}_of_sequences", f"{attended}_of_sequences"
    return [
        helper.make_node("Slice", [qkv, "pairs_zero", "pairs_count", "pairs_zero"], [inner.input[0]]),
        inner,
        helper.make_node("Slice", [qkv, "pairs_idle", "pairs_end", "pairs_axes"], [f"{qkv}_idle"]),
        helper.make_node("Concat", [inner.output[0], f"{qkv}_idle"], [attended], axis=0),
    ]
