"""The causal transformer of the semantic and coarse stages: nanoGPT's block.

The caller looks up and sums the token embeddings, since the semantic prompt adds text and history. So the network
starts at ``embeddings``. Every user of the network brings its own attention operation: `Gpt.forward` attends over a
KV cache, `bark_serving.runtimes.torch_gpt` over a cache of fixed size, training over the sequence itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bark_serving.spec import GptSpec

ALL, LAST = slice(None), slice(-1, None)
NORM_EPSILON = 1e-5  # nanoGPT's; no checkpoint overrides it

#: Attention of one layer: [..., S, 3 × width] query, key and value side by side → [..., S, width].
Attend = Callable[[Tensor], Tensor]
#: The same with the layer's number first.
AttendLayer = Callable[[int, Tensor], Tensor]
#: (query ‖ key ‖ value, past_key, past_value, seqlens, total_length, heads) → (attended, present_key, present_value)
CachedAttention = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, int], tuple[Tensor, Tensor, Tensor]]


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[B, S, width] → [B, heads, S, head_width]."""
    return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """[B, heads, S, head_width] → [B, S, width]."""
    return x.transpose(1, 2).flatten(2)


def cached_attention(
    qkv: Tensor,  # [B, S, 3 × width]: query, key and value side by side
    past_key: Tensor,  # [B, heads, C, head_width]
    past_value: Tensor,  # [B, heads, C, head_width]
    seqlens: Tensor,  # [B]: last valid position of each row, new positions included
    total_length: Tensor,  # one number: the greatest length in the batch
    heads: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Causal attention of S new positions over a cache; the arithmetic of ONNX Runtime's GroupQueryAttention.

    Returns the attended values [B, S, width] and the caches with the new keys and values written in. A cache shorter
    than `total_length` grows. Cache positions beyond a row's length are never read.
    """
    total, steps = int(total_length), qkv.shape[1]
    query, key, value = (split_heads(x, heads) for x in qkv.chunk(3, dim=-1))
    grow = max(0, total - past_key.shape[2])
    keys, values = F.pad(past_key, (0, 0, 0, grow)), F.pad(past_value, (0, 0, 0, grow))
    at = seqlens.long()[:, None] - steps + 1 + torch.arange(steps, device=qkv.device)  # [B, S]
    rows = torch.arange(len(at), device=qkv.device)[:, None]
    keys[rows, :, at] = key.transpose(1, 2)
    values[rows, :, at] = value.transpose(1, 2)
    visible = torch.arange(total, device=qkv.device) <= at[:, :, None]  # [B, S, total]
    attended = F.scaled_dot_product_attention(
        query, keys[:, :, :total], values[:, :, :total], attn_mask=visible[:, None]
    )
    return merge_heads(attended), keys, values


class Attention(nn.Module):
    """The projections before and after the attention operation, which the caller passes in."""

    def __init__(self, spec: GptSpec) -> None:
        super().__init__()
        self.qkv = nn.Linear(spec.width, 3 * spec.width, bias=spec.bias)
        self.out = nn.Linear(spec.width, spec.width, bias=spec.bias)

    def forward(self, x: Tensor, attend: Attend, positions: slice) -> Tensor:
        """[..., S, width] → the output of ``positions``, [..., n, width]."""
        out: Tensor = self.out(attend(self.qkv(x))[..., positions, :])
        return out


class Mlp(nn.Module):
    """Two linear layers, four times as wide inside, with the exact (erf) GELU between them."""

    def __init__(self, spec: GptSpec) -> None:
        super().__init__()
        self.up = nn.Linear(spec.width, 4 * spec.width, bias=spec.bias)
        self.down = nn.Linear(4 * spec.width, spec.width, bias=spec.bias)

    def forward(self, x: Tensor) -> Tensor:
        down: Tensor = self.down(F.gelu(self.up(x)))
        return down


class Layer(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, spec: GptSpec) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(spec.width, eps=NORM_EPSILON, bias=spec.bias)
        self.attention = Attention(spec)
        self.mlp_norm = nn.LayerNorm(spec.width, eps=NORM_EPSILON, bias=spec.bias)
        self.mlp = Mlp(spec)

    def forward(self, x: Tensor, attend: Attend, positions: slice = ALL) -> Tensor:
        """[..., S, width] → the output of ``positions``, [..., n, width]."""
        x = x[..., positions, :] + self.attention(self.attention_norm(x), attend, positions)
        out: Tensor = x + self.mlp(self.mlp_norm(x))
        return out


class Gpt(nn.Module):
    """Embeddings and positions of the new tokens, and a cache of the old ones → logits of the last position.

    An exporter replaces `attend`, the attention over a cache, with its runtime's own operator.
    """

    def __init__(self, spec: GptSpec) -> None:
        super().__init__()
        self.spec = spec
        self.token_embedding = nn.Embedding(spec.input_vocab, spec.width)
        self.position_embedding = nn.Embedding(spec.block_size, spec.width)
        self.layers = nn.ModuleList(Layer(spec) for _ in range(spec.layers))
        self.norm = nn.LayerNorm(spec.width, eps=NORM_EPSILON, bias=spec.bias)
        self.head = nn.Linear(spec.width, spec.output_vocab, bias=False)
        self.attend: CachedAttention = cached_attention

    def empty_cache(self, *, batch: int, capacity: int) -> list[Tensor]:
        """Zeroed caches [batch, heads, capacity, head_width]: key and value of layer 0, of layer 1, …"""
        shape = (batch, self.spec.heads, capacity, self.spec.head_width)
        return [torch.zeros(shape, device=self.head.weight.device) for _ in range(2 * self.spec.layers)]

    def transform(self, x: Tensor, attend: AttendLayer, *, positions: slice = ALL) -> Tensor:
        """Run all layers, without the last norm and the head: [..., S, width] → [..., n, width].

        x: token embeddings plus position embeddings. attend: the attention of a layer, by its number.
        positions: the ones whose output is needed. All of them go through every attention.
        """
        for i, layer in enumerate(self.layers):
            is_last = i + 1 == len(self.layers)
            x = layer(x, partial(attend, i), positions if is_last else ALL)
        return x

    def forward(
        self,
        embeddings: Tensor,  # f32 [B, S, width]: sums of token embeddings
        positions: Tensor,  # i64 [B, S]
        seqlens: Tensor,  # i32 [B]: total length - 1
        total_length: Tensor,  # i32, one number
        *past: Tensor,  # past_key_0, past_value_0, past_key_1, …: f32 [B, heads, C, head_width]
    ) -> tuple[Tensor, ...]:
        """Logits [B, output_vocab] of the last position, then present_key_0, present_value_0, …

        One forward covers prefill and decode: the rows of a batch share the number of new positions S, but each row
        may have its own past.
        """
        present: list[Tensor] = []

        def attend(layer: int, qkv: Tensor) -> Tensor:
            past_key, past_value = past[2 * layer], past[2 * layer + 1]
            attended, key, value = self.attend(qkv, past_key, past_value, seqlens, total_length, self.spec.heads)
            present.extend((key, value))
            return attended

        x = self.transform(embeddings + self.position_embedding(positions), attend, positions=LAST)
        return self.head(self.norm(x))[:, 0], *present
