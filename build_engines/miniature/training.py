"""One way to train a network: AdamW, a warm-up and a cosine, a state on disk that another call goes on from."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bark_serving.arrays import Array
from build_engines.miniature.recipe import Schedule

#: The random numbers of a step → what is minimised, and figures to log beside it.
Loss = Callable[[np.random.Generator], tuple[Tensor, dict[str, float]]]

SAVE_SECONDS = 60.0
LOG_STEPS = 50
CLIP = 1.0
LAST_RATE = 0.05  #: of the highest


def half() -> torch.autocast:
    """Where a network's forward pass is in bfloat16: twice as fast on processors that have it."""
    return torch.autocast(torch.get_default_device().type, torch.bfloat16)


def tensor(array: Array) -> Tensor:
    """A tensor of an array, where torch makes its own: on the device that trains."""
    return torch.as_tensor(array, device=torch.get_default_device())


def rate_at(step: int, schedule: Schedule) -> float:
    """The learning rate: up in a line, down in a cosine."""
    if step < schedule.warmup:
        return schedule.rate * (step + 1) / schedule.warmup
    way = (step - schedule.warmup) / max(1, schedule.steps - schedule.warmup)
    return schedule.rate * (LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * min(1.0, way))))


def train(
    network: nn.Module,
    loss: Loss,
    *,
    schedule: Schedule,
    state: Path,
    seed: int,
    on_step: Callable[[int, float], None],
) -> None:
    """Train `network` in place for ``schedule.steps``.

    state: where weights and optimizer are kept; training goes on from there if it exists. Losses are appended to the
    ``.jsonl`` beside it. A step's random numbers depend on the seed and its number alone, so a training that was
    stopped sees the very examples it would have seen.
    """
    network.requires_grad_(True).train()
    optimizers = _optimizers(network, rate=schedule.rate)
    first = _restore(network, optimizers, state)
    saved = time.monotonic()
    log = state.with_suffix(".jsonl")
    average: float | None = None
    for step in range(first, schedule.steps):
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate_at(step, schedule)
        torch.manual_seed(seed * 1_000_003 + step)
        value, figures = loss(np.random.default_rng([seed, step]))
        network.zero_grad(set_to_none=True)
        torch.autograd.backward(value)
        nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        for optimizer in optimizers:
            optimizer.step()
        average = value.item() if average is None else 0.98 * average + 0.02 * value.item()
        on_step(step + 1, average)
        if (step + 1) % LOG_STEPS == 0:
            with log.open("a") as file:
                file.write(json.dumps({"step": step + 1, "loss": round(average, 4), **figures}) + "\n")
        if time.monotonic() - saved > SAVE_SECONDS:
            _save(network, optimizers, state, step + 1)
            saved = time.monotonic()
    if first < schedule.steps:
        _save(network, optimizers, state, schedule.steps)
    network.requires_grad_(False).eval()


def _optimizers(network: nn.Module, *, rate: float) -> list[torch.optim.Optimizer]:
    """Muon (Jordan et al., 2024) for the matrices within transformers, AdamW for all else.

    Muon's steps are scaled to the size of AdamW's (Liu et al., "Muon is Scalable for LLM Training", 2025), so one rate
    serves both.
    """
    matrices: list[nn.Parameter] = []
    tables: list[nn.Parameter] = []
    vectors: list[nn.Parameter] = []
    for name, weight in network.named_parameters():
        inner = weight.dim() == 2 and "layers." in name and "lstm" not in name
        (matrices if inner else tables if weight.dim() > 1 else vectors).append(weight)
    groups = [{"params": tables, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True)]
    if matrices:
        optimizers.append(torch.optim.Muon(matrices, lr=rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"))
    return optimizers


def _save(network: nn.Module, optimizers: list[torch.optim.Optimizer], state: Path, step: int) -> None:
    part = state.with_suffix(".part")
    kept = {"step": step, "network": network.state_dict(), "optimizers": [one.state_dict() for one in optimizers]}
    torch.save(kept, part)
    part.rename(state)


def _restore(network: nn.Module, optimizers: list[torch.optim.Optimizer], state: Path) -> int:
    if not state.exists():
        return 0
    kept: dict[str, Any] = torch.load(state, weights_only=True, map_location="cpu")  # whichever device it was on
    network.load_state_dict(kept["network"])
    for optimizer, its in zip(optimizers, kept["optimizers"], strict=True):
        optimizer.load_state_dict(its)
    step: int = kept["step"]
    return step
