"""The GPT of a bundle in Intel's OpenVINO, as its users have it: weights in int8, and a cache that the runtime holds.

The graph is the one that OpenVINO fuses: compressed weights before each product, states for keys and values, and its
own attention operator. Its CPU plugin decides the rest, such as the cache's precision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from bark_serving.arrays import Floats
from bark_serving.bundle import Bundle
from bark_serving.networks.gpt import NORM_EPSILON
from bark_serving.spec import GptSpec

NAME = "OpenVINO int8"


def load(bundle: Bundle, *, threads: int) -> Callable[[int], int]:
    """A function that generates n greedy tokens with the coarse network, starting from token 1; it returns the last."""
    import openvino

    model = graph(load_file(bundle.weights("coarse")), bundle.spec.coarse.gpt)
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()

    def generate(count: int) -> int:
        request.reset_state()
        token, row = 1, np.zeros(1, np.int32)
        for position in range(count):
            outputs = request.infer({"ids": np.array([[token]]), "positions": np.array([[position]]), "beam_idx": row})
            token = int(next(iter(outputs.values()))[0, -1].argmax())
        return token

    return generate


def graph(weights: Mapping[str, Floats], spec: GptSpec) -> Any:
    """An `openvino.Model`: ids and positions [B, S], beam_idx [B] → logits [B, S, output_vocab].

    Its states hold the keys and values of earlier calls. beam_idx: which row of them each row continues.
    """
    from openvino import Model, PartialShape, Type
    from openvino import opset15 as op
    from openvino.op.util import Variable, VariableInfo

    def numbers(*values: int) -> Any:
        return op.constant(np.array(values, np.int64))

    first_axis = op.constant(np.int64(0))

    def linear(x: Any, name: str) -> Any:
        weight = weights[f"{name}.weight"]  # [outputs, inputs]
        scale = np.maximum(np.abs(weight).max(1, keepdims=True), np.finfo(np.float32).tiny) / 127
        quantized = op.constant(np.rint(weight / scale).astype(np.int8))
        product = op.matmul(x, op.multiply(op.convert(quantized, "f32"), op.constant(scale)), False, True)
        bias = weights.get(f"{name}.bias")
        return product if bias is None else op.add(product, op.constant(bias))

    def norm(x: Any, name: str) -> Any:
        scaled = op.multiply(
            op.mvn(x, numbers(-1), True, NORM_EPSILON, "inside_sqrt"), op.constant(weights[f"{name}.weight"])
        )
        bias = weights.get(f"{name}.bias")
        return scaled if bias is None else op.add(scaled, op.constant(bias))

    def embedding(name: str, ids: Any) -> Any:
        return op.gather(op.constant(weights[f"{name}.weight"]), ids, first_axis)

    def heads(x: Any) -> Any:
        split = op.reshape(x, numbers(0, 0, spec.heads, spec.head_width), True)
        return op.transpose(split, numbers(0, 2, 1, 3))

    ids = op.parameter([-1, -1], np.int64, name="ids")
    positions = op.parameter([-1, -1], np.int64, name="positions")
    rows = op.parameter([-1], np.int32, name="beam_idx")
    batch = op.gather(op.shape_of(ids), numbers(0), first_axis)
    nothing = op.broadcast(op.constant(np.float32(0)), op.concat([batch, numbers(spec.heads, 0, spec.head_width)], 0))
    updates = []

    def remembered(name: str, new: Any) -> Any:
        info = VariableInfo()
        info.variable_id, info.data_type = name, Type.f32
        info.data_shape = PartialShape([-1, spec.heads, -1, spec.head_width])
        variable = Variable(info)
        past = op.gather(op.read_value(nothing, variable), rows, first_axis)
        whole = op.concat([past, new], 2)
        updates.append(op.assign(whole, variable))
        return whole

    x = op.add(embedding("token_embedding", ids), embedding("position_embedding", positions))
    for i in range(spec.layers):
        layer = f"layers.{i}"
        qkv = linear(norm(x, f"{layer}.attention_norm"), f"{layer}.attention.qkv")
        query, key, value = (heads(part) for part in op.split(qkv, op.constant(np.int64(2)), 3).outputs())
        # one new position attends over all that were remembered: no mask
        attended = op.scaled_dot_product_attention(
            query, remembered(f"key.{i}", key), remembered(f"value.{i}", value), causal=False
        )
        merged = op.reshape(op.transpose(attended, numbers(0, 2, 1, 3)), numbers(0, 0, spec.width), True)
        x = op.add(x, linear(merged, f"{layer}.attention.out"))
        inside = op.gelu(linear(norm(x, f"{layer}.mlp_norm"), f"{layer}.mlp.up"), "erf")
        x = op.add(x, linear(inside, f"{layer}.mlp.down"))
    logits = op.result(linear(norm(x, "norm"), "head"))
    return Model([logits], updates, [ids, positions, rows])
