"""`bark_serving.decoding.sampling` for a batch of rows on a GPU. Equal logits and uniforms give equal tokens."""

from __future__ import annotations

import torch
from torch import Tensor


def sample(
    logits: Tensor,  # f32 [n, columns]
    columns: Tensor,  # i64 [n, size]: the columns that each row may sample
    *,
    temperature: Tensor,  # f32 [n]; 0: the first largest
    top_k: Tensor,  # i64 [n]; 0: all
    top_p: Tensor,  # f32 [n]; 0 or 1: all
    uniforms: Tensor,  # f64 [n] in [0, 1)
    filtered: bool,  # whether any row has a top_k or top_p
) -> tuple[Tensor, Tensor]:
    """Sampled columns i64 [n], and the probability f32 [n] of each row's last one. The order of steps: `sampling`."""
    x = logits.gather(1, columns)
    if filtered:
        x = keep_top(x, top_k=top_k, top_p=top_p)
    p = probabilities(x, temperature)
    cumulative = p.double().cumsum(-1)
    index = (cumulative <= uniforms[:, None] * cumulative[:, -1:]).sum(-1)
    # Rounding may put the threshold at the very end; a token of probability 0 is never the answer.
    last_possible = (torch.arange(x.shape[1], device=x.device) * (p > 0)).amax(-1)
    index = index.minimum(last_possible)
    return columns.gather(1, index[:, None])[:, 0], p[:, -1]


def probabilities(x: Tensor, temperature: Tensor) -> Tensor:
    """[n, size] logits → probabilities. At temperature 0 the first largest logit has probability 1."""
    greedy = temperature[:, None] <= 0
    soft = torch.softmax(x / torch.where(greedy, 1.0, temperature[:, None]), dim=-1)
    places = torch.arange(x.shape[1], device=x.device)
    return torch.where(greedy, (places == x.argmax(-1, keepdim=True)).float(), soft)


def keep_top(x: Tensor, *, top_k: Tensor, top_p: Tensor) -> Tensor:
    """[n, size] logits with −inf outside the nucleus, and then below the k-th largest."""
    # ascending, then flipped, as in numpy: of equal logits the later one comes first
    values, order = (part.flip(-1) for part in torch.sort(x, dim=-1, stable=True))
    mass = torch.softmax(values, dim=-1).cumsum(-1)
    drop = torch.zeros_like(mass, dtype=torch.bool)
    drop[:, 1:] = mass[:, :-1] > top_p[:, None]  # the first token above top_p stays
    drop &= ((top_p > 0) & (top_p < 1))[:, None]
    values = values.masked_fill(drop, -torch.inf)
    x = torch.empty_like(x).scatter_(1, order, values)
    size = x.shape[1]
    kth = values.gather(1, (torch.where(top_k > 0, top_k, size).clamp(max=size) - 1)[:, None])
    return x.masked_fill(x < kth, -torch.inf)
