"""k-means: cluster centres of points, and the nearest centre of each point."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

ROUNDS = 10


def k_means(points: Tensor, count: int, *, seed: int, rounds: int = ROUNDS) -> Tensor:
    """Centres [count, width] of points [n, width] by Lloyd's algorithm. A centre without points gets a random point."""
    random = torch.Generator("cpu").manual_seed(seed)
    centres = points[torch.randperm(len(points), generator=random, device="cpu")[:count]].clone()
    for _ in range(rounds):
        ids = nearest(points, centres)
        sums = torch.zeros_like(centres).index_add_(0, ids, points)
        sizes = torch.bincount(ids, minlength=len(centres)).float()
        random_points = points[torch.randint(len(points), (len(centres),), generator=random, device="cpu")]
        centres = torch.where(sizes[:, None] > 0, sums / sizes[:, None].clamp(min=1), random_points)
    return centres


def nearest(points: Tensor, centres: Tensor, *, chunk: int = 65_536) -> Tensor:
    """Index of the nearest centre for each point [n, width] → i64 [n]. Computes `chunk` points at a time."""
    lengths = centres.pow(2).sum(1) / 2
    return torch.cat([(F.linear(part.float(), centres) - lengths).argmax(1) for part in torch.split(points, chunk)])
