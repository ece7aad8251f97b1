"""Causal attention of whole sequences, for training on a CPU."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 128  #: queries per product; each block sees the keys up to its end only


def causal_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention of each position to itself and those before it: [B, heads, S, head_width].

    On a CPU it computes products of matrices, in the inputs' number format. Forward and backward, that takes half the
    time of torch's own operator (Zen 4, bfloat16: 33 in place of 76 ms for 24 sequences of 200, 81 in place of 171 ms
    for 16 of 489).
    """
    if query.device.type != "cpu":
        return F.scaled_dot_product_attention(query, key, value, is_causal=True)
    batch, heads, length, width = query.shape
    queries, keys, values = (x.reshape(batch * heads, length, width) for x in (query / math.sqrt(width), key, value))
    future = torch.full((length, length), -math.inf, dtype=query.dtype).triu(1)
    blocks = []
    with torch.autocast("cpu", enabled=False):  # it would take the softmax in float32
        for start in range(0, length, BLOCK):
            end = min(start + BLOCK, length)
            scores = torch.baddbmm(future[start:end, :end], queries[:, start:end], keys[:, :end].transpose(1, 2))
            blocks.append(torch.bmm(torch.softmax(scores, dim=-1), values[:, :end]))
    return torch.cat(blocks, dim=1).view(batch, heads, length, width)
