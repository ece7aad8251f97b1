"""The fine transformer: all frames of a window at once, one codebook per pass, not causal.

One graph serves every codebook. The codebook is an input: it masks the embedding sum and picks the head. So the
rows of a batch may be at different codebooks.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bark_serving.networks.gpt import NORM_EPSILON, Mlp, merge_heads, split_heads
from bark_serving.spec import FineSpec, GptSpec

#: (query, key, value, heads) → attended, all [B, S, width]
FullAttention = Callable[[Tensor, Tensor, Tensor, int], Tensor]


def full_attention(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Every position attends to every position. Tensors are [B, S, width]."""
    q, k, v = (split_heads(x, heads) for x in (query, key, value))
    return merge_heads(F.scaled_dot_product_attention(q, k, v))


class Attention(nn.Module):
    """Self-attention without a mask. An exporter replaces `attend` with its runtime's own operator."""

    def __init__(self, spec: GptSpec) -> None:
        super().__init__()
        self.heads = spec.heads
        self.qkv = nn.Linear(spec.width, 3 * spec.width, bias=spec.bias)
        self.out = nn.Linear(spec.width, spec.width, bias=spec.bias)
        self.attend: FullAttention = full_attention

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        out: Tensor = self.out(self.attend(query, key, value, self.heads))
        return out


class Layer(nn.Module):
    """Pre-norm transformer block. As in Suno's fine model, the norms always have biases, whatever `spec.bias` is."""

    def __init__(self, spec: GptSpec) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(spec.width, eps=NORM_EPSILON)
        self.attention = Attention(spec)
        self.mlp_norm = nn.LayerNorm(spec.width, eps=NORM_EPSILON)
        self.mlp = Mlp(spec)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        out: Tensor = x + self.mlp(self.mlp_norm(x))
        return out


class Tables(nn.Module):
    """One embedding table per codebook, stacked: [codebooks, vocabulary, width]."""

    def __init__(self, codebooks: int, vocab: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(codebooks, vocab, width).normal_())

    def rows(self, ids: Tensor) -> Tensor:
        """Look up ids of the stacked tables (id = codebook × vocabulary + code): [...] → [..., width]."""
        return F.embedding(ids, self.weight.flatten(0, 1))


class Fine(nn.Module):
    """Codes of a window and the codebook to predict → logits of that codebook, or codes sampled from them."""

    def __init__(self, spec: FineSpec, *, codebooks: int, codebook_size: int) -> None:
        super().__init__()
        self.spec = spec
        self.codebooks = codebooks
        self.codebook_size = codebook_size
        self.token_embedding = Tables(codebooks, spec.gpt.input_vocab, spec.gpt.width)
        self.position_embedding = nn.Embedding(spec.gpt.block_size, spec.gpt.width)
        self.layers = nn.ModuleList(Layer(spec.gpt) for _ in range(spec.gpt.layers))
        self.norm = nn.LayerNorm(spec.gpt.width, eps=NORM_EPSILON)
        if not spec.tied_heads:
            self.head = Tables(codebooks - spec.codebooks_given, spec.gpt.output_vocab, spec.gpt.width)

    def logits(self, codes: Tensor, codebook: Tensor) -> Tensor:
        """Codes i32 [B, codebooks, T] and codebook i32 [B, 1] → logits f32 [B, T, codebook_size]."""
        vocab = self.spec.gpt.input_vocab
        x = self.position_embedding(torch.arange(codes.shape[2], device=codes.device))[None]
        for k in range(self.codebooks):  # one table at a time: all at once would need [B, codebooks, T, width]
            visible = (codebook >= k).to(x.dtype)[:, :, None]  # [B, 1, 1]
            x = x + visible * self.token_embedding.rows(codes[:, k].long() + k * vocab)
        for layer in self.layers:
            x = layer(x)
        # head i belongs to codebook i + codebooks_given; if tied, it is embedding table i + 1
        head = codebook.long() - self.spec.codebooks_given
        code = torch.arange(self.codebook_size, device=codes.device)
        if self.spec.tied_heads:
            rows = self.token_embedding.rows((head + 1) * vocab + code)  # [B, codebook_size, width]
        else:
            rows = self.head.rows(head * self.spec.gpt.output_vocab + code)
        return torch.bmm(self.norm(x), rows.transpose(1, 2))

    def forward(self, codes: Tensor, codebook: Tensor, temperature: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
        """Sample the codes of one codebook.

        codes i32 [B, codebooks, T]; codebook i32 [B, 1]; temperature f32 [B, 1], ≤ 0 for argmax; uniforms f32 [B, T] in
        [0, 1). Returns predictions i32 [B, T] and logits f32 [B, T, codebook_size].
        """
        logits = self.logits(codes, codebook)
        return sample(logits, temperature, uniforms), logits


def sample(logits: Tensor, temperature: Tensor, uniforms: Tensor) -> Tensor:
    """One code per frame from softmax(logits / temperature), by inverting its cumulative sum; argmax if it is ≤ 0.

    logits [B, T, size], temperature [B, 1], uniforms [B, T] → i32 [B, T].
    """
    greedy = temperature <= 0  # [B, 1]
    divisor = torch.where(greedy, torch.ones_like(temperature), temperature)[:, :, None]
    cumulative = torch.softmax(logits / divisor, dim=-1).cumsum(-1)
    # the uniform is scaled by the rounded sum, which may be below 1: a uniform near 1 still finds a code
    below = (cumulative <= uniforms[:, :, None] * cumulative[:, :, -1:]).sum(-1)
    sampled = below.clamp(max=logits.shape[-1] - 1)
    return torch.where(greedy, logits.argmax(-1), sampled).to(torch.int32)
