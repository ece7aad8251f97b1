"""The codec's decoder after its LSTM: traced once, then put into each graph that has `AfterLstm` nodes.

The decoder in pieces runs these layers `encodec.PIECES` times, and tracing them takes seconds each time.
"""

from __future__ import annotations

import torch
from onnx import ModelProto, compose, helper, inliner

from bark_serving.engines.manifest import TensorInfo
from bark_serving.layouts import decoder
from bark_serving.networks import Encodec
from bark_serving.networks.encodec import LAYERS_TO_LSTM, Seanet
from build_engines.export import graph
from build_engines.export.operators import AfterLstm


def export(codec: Encodec) -> ModelProto:
    """The layers' graph: [B, width, T] → [B, 1, T × samples_per_frame]."""
    *_, width = decoder.state_shape(codec.spec)
    with torch.inference_mode():
        layers = graph.to_onnx(
            Seanet(list(codec.decoder.layers[LAYERS_TO_LSTM:])),
            sample={"latent": torch.zeros((2, width, 13))},
            inputs={"latent": TensorInfo(dtype="float32", axes=("batch", width, "frames"))},
            outputs={"audio": TensorInfo(dtype="float32", axes=("batch", 1, "samples"))},
        )
    return compose.add_prefix(layers, "after_lstm_")  # its names must differ from those of the graphs it is put into


def insert(layers: ModelProto, *, into: ModelProto) -> ModelProto:
    """The graph `into` with the nodes of `layers` in the place of each `AfterLstm`. All share one copy of the weights.

    A function of ONNX holds no weights. So they become inputs of the function, until it is inlined.
    """
    model = ModelProto()
    model.CopyFrom(into)
    weights = [tensor.name for tensor in layers.graph.initializer]
    model.graph.initializer.extend(layers.graph.initializer)
    for node in model.graph.node:
        if node.domain == AfterLstm.DOMAIN:
            node.input.extend(weights)
    function = helper.make_function(
        AfterLstm.DOMAIN,
        AfterLstm.__name__,
        inputs=[layers.graph.input[0].name, *weights],
        outputs=[layers.graph.output[0].name],
        nodes=layers.graph.node,
        opset_imports=layers.opset_import,
    )
    model.functions.append(function)
    model = inliner.inline_local_functions(model)
    graph.replace(model.opset_import, [opset for opset in model.opset_import if opset.domain != AfterLstm.DOMAIN])
    return model
