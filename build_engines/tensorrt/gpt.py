"""The GPTs in plain ONNX: a KV cache that is updated in place, prefill and decode in one graph, tokens as the output.

Opset 24 has the two operators that this takes. TensorScatter writes the new keys and values of each row at the row's
own position; bound to one address, cache in and cache out are the same memory. Attention then reads the whole cache
under a boolean mask. The mask is computed in the graph, from the positions. Attention's other ways to say the same do
not work: TensorRT's parser ignores `nonpad_kv_seqlen` without a message, and refuses `past_key`.

The graph samples, so that only tokens leave the GPU. It samples without top-k and top-p; who asks for these gets
logits. The order of steps is that of `bark_serving.decoding.sampling`, in fp32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bark_serving.decoding.rules import head_rows, rule_of
from bark_serving.engines.manifest import TensorInfo
from bark_serving.networks import Gpt
from bark_serving.networks.gpt import LAST, merge_heads, split_heads
from bark_serving.profiles import Precision
from bark_serving.spec import GptStage, Spec
from build_engines.errors import BuildError
from build_engines.export.graphs import GRAPHS, Arrays, Axes

OPSET = 24
#: The type that a precision computes in, and keeps its cache in. int8 and int4 are types of weights only.
COMPUTE: dict[Precision, str] = {
    "fp32": "float32",
    "fp16": "float16",
    "bf16": "bfloat16",
    "int8": "float16",
    "int4": "float16",
}


class SamplingGpt(nn.Module):
    """A `Gpt` that ends in a sampled token per row, with its cache in and out.

    gpt: with the head's rows of its stage only, as `GRAPHS[stage].forward` makes it.
    """

    def __init__(self, gpt: Gpt, *, stage: GptStage, spec: Spec) -> None:
        super().__init__()
        self.gpt = gpt
        rule = rule_of(stage, spec)
        self.first_id = head_rows(rule).start
        self.columns: Tensor  # [sets, size]: where the logits of each set of ids are
        columns = np.stack(rule.id_sets).astype(np.int64) - self.first_id
        self.register_buffer("columns", torch.from_numpy(columns), persistent=False)

    def forward(
        self,
        embeddings: Tensor,  # f32 [B, S, width]: sums of token embeddings
        positions: Tensor,  # i64 [B, S]: consecutive in each row
        id_sets: Tensor,  # i64 [B]: which of the rule's sets each row samples from
        temperatures: Tensor,  # f32 [B]; ≤ 0: the first largest
        uniforms: Tensor,  # f32 [B] in [0, 1): each row's only randomness
        *past: Tensor,  # past_key_0, past_value_0, past_key_1, …: [B, heads, block_size, head_width]
    ) -> tuple[Tensor, ...]:
        """Tokens i64 [B], end_probabilities f32 [B], logits f32 [B, head rows], present_key_0, …

        end_probabilities: of the last id of each row's set, which is the end token where there is one.
        """
        gpt = self.gpt
        visible = torch.arange(gpt.spec.block_size, device=positions.device) <= positions[:, None, :, None]
        present: list[Tensor] = []

        def attend(layer: int, qkv: Tensor) -> Tensor:
            query, key, value = (split_heads(x, gpt.spec.heads) for x in qkv.chunk(3, dim=-1))
            keys, values = (
                write(cache, new, positions[:, 0])
                for cache, new in zip(past[2 * layer : 2 * layer + 2], (key, value), strict=True)
            )
            present.extend((keys, values))
            return merge_heads(masked_attention(query, keys, values, visible))

        x = embeddings.to(gpt.head.weight.dtype) + gpt.position_embedding(positions)
        x = gpt.transform(x, attend, positions=LAST)
        logits = gpt.head(gpt.norm(x))[:, 0].float()
        chosen = self.columns[id_sets]  # [B, size]
        index, end_probabilities = sample(logits.gather(1, chosen), temperatures, uniforms)
        tokens = chosen.gather(1, index[:, None])[:, 0] + self.first_id
        return tokens, end_probabilities, logits, *present


def write(cache: Tensor, new: Tensor, at: Tensor) -> Tensor:
    """`cache` [B, heads, C, D] with `new` [B, heads, S, D] written from position `at` [B] of each row on."""
    written: Tensor = torch.onnx.ops.symbolic(
        "TensorScatter", (cache, new, at), attrs={"axis": 2}, dtype=cache.dtype, shape=tuple(cache.shape), version=OPSET
    )
    return written


def masked_attention(query: Tensor, keys: Tensor, values: Tensor, visible: Tensor) -> Tensor:
    """Attention of `query` [B, heads, S, D] over keys and values [B, heads, C, D] where `visible` [B, 1, S, C]."""
    attended: Tensor = torch.onnx.ops.symbolic(
        "Attention", (query, keys, values, visible), dtype=query.dtype, shape=tuple(query.shape), version=OPSET
    )
    return attended


def sample(logits: Tensor, temperatures: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """One index i64 [B] of `logits` [B, size] per row, and the probability f32 [B] of the last one.

    It inverts the cumulative distribution. temperatures, uniforms: [B].
    """
    greedy = temperatures <= 0
    p = torch.softmax(logits / torch.where(greedy, torch.ones_like(temperatures), temperatures)[:, None], dim=-1)
    cumulative = p.cumsum(-1)
    # the uniform is scaled by the rounded sum, which may be below 1: a uniform near 1 still finds an index
    drawn = (cumulative <= uniforms[:, None] * cumulative[:, -1:]).sum(-1).clamp(max=logits.shape[-1] - 1)
    best = logits.argmax(-1)
    end = torch.where(greedy, (best == logits.shape[-1] - 1).float(), p[:, -1])
    return torch.where(greedy, best, drawn), end


def module(network: nn.Module, *, stage: GptStage, spec: Spec, precision: Precision) -> nn.Module:
    """The module that is exported, in the precision's type. It cannot be run: two operators are ONNX nodes only."""
    gpt: Any = GRAPHS[stage].forward(network, spec)
    return SamplingGpt(gpt.to(getattr(torch, COMPUTE[precision])), stage=stage, spec=spec)


def check_network(trt: Any, network: Any, *, layers: int) -> None:
    """Check that TensorRT's parser kept what makes a GPT of `layers` layers right and fast.

    A mask that it drops changes tokens, a cache that it does not update in place is copied, and attention that is
    spelt out is not fused. Raises `BuildError`.
    """
    found = [network.get_layer(i) for i in range(network.num_layers)]
    attentions = [layer for layer in found if layer.type == trt.LayerType.ATTENTION_INPUT]
    masked = [layer for layer in attentions if layer.num_inputs > 3 and layer.get_input(3).dtype == trt.DataType.BOOL]
    updates = sum(layer.type == trt.LayerType.KV_CACHE_UPDATE for layer in found)
    if (len(attentions), len(masked), updates) != (layers, layers, 2 * layers):
        raise BuildError(
            f"TensorRT's parser made {len(attentions)} attentions, {len(masked)} of them with a mask, and {updates} "
            f"updates of the cache; {layers}, {layers} and {2 * layers} must be."
        )


def inputs(spec: Spec, *, stage: GptStage, precision: Precision) -> Axes:
    """Inputs of the graph. The cache has all positions of the network."""
    row = TensorInfo(dtype="float32", axes=("batch",))
    return {
        "embeddings": TensorInfo(dtype="float32", axes=("batch", "sequence", spec.gpt(stage).width)),
        "positions": TensorInfo(dtype="int64", axes=("batch", "sequence")),
        "id_sets": TensorInfo(dtype="int64", axes=("batch",)),
        "temperatures": row,
        "uniforms": row,
        **_cache(spec, stage, precision, "past"),
    }


def outputs(spec: Spec, *, stage: GptStage, precision: Precision) -> Axes:
    """Outputs of the graph."""
    head = head_rows(rule_of(stage, spec))
    return {
        "tokens": TensorInfo(dtype="int64", axes=("batch",)),
        "end_probabilities": TensorInfo(dtype="float32", axes=("batch",)),
        "logits": TensorInfo(dtype="float32", axes=("batch", head.stop - head.start)),
        **_cache(spec, stage, precision, "present"),
    }


def _cache(spec: Spec, stage: GptStage, precision: Precision, prefix: str) -> Axes:
    gpt = spec.gpt(stage)
    info = TensorInfo(dtype=COMPUTE[precision], axes=("batch", gpt.heads, gpt.block_size, gpt.head_width))
    return {f"{prefix}_{kind}_{layer}": info for layer in range(gpt.layers) for kind in ("key", "value")}


def sampler(stage: GptStage) -> Callable[[Spec, int, int, np.random.Generator], Arrays]:
    """As `StageGraph.sample`: makes inputs of a prefill over an empty cache, in fp32. The last row is greedy."""

    def sample(spec: Spec, batch: int, length: int, rng: np.random.Generator) -> Arrays:
        gpt, sets = spec.gpt(stage), len(rule_of(stage, spec).id_sets)
        temperatures = np.full(batch, 0.7, np.float32)
        temperatures[-1] = 0
        cache = np.zeros((batch, gpt.heads, gpt.block_size, gpt.head_width), np.float32)
        return {
            "embeddings": rng.standard_normal((batch, length, gpt.width), np.float32),
            "positions": np.tile(np.arange(length, dtype=np.int64), (batch, 1)),
            "id_sets": np.arange(batch, dtype=np.int64) % sets,
            "temperatures": temperatures,
            "uniforms": rng.random(batch, np.float32),
            **dict.fromkeys(_cache(spec, stage, "fp32", "past"), cache),
        }

    return sample
