"""Trains a network with Muon and AdamW, and saves its state so that another call can continue."""

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
from build_engines.miniature.muon import Muon
from build_engines.miniature.recipe import Schedule

#: The random generator of a step → the loss of a batch, and figures for the log.
Loss = Callable[[np.random.Generator], tuple[Tensor, dict[str, float]]]

SAVE_INTERVAL_S = 60.0
LOG_STEPS = 50  #: steps from one line of the log to the next
MAX_GRADIENT_NORM = 1.0
LAST_RATE = 0.05  #: learning rate of the last step, as a share of the highest


def has_bfloat16() -> bool:
    """Whether torch's default device computes in bfloat16.

    Such processors take half the time of float32. Others imitate bfloat16: a Zen 3 takes 14 times as long.
    """
    names = ("avx512_bf16", "bf16")  # of x86 and of ARM
    on_cpu = torch.get_default_device().type == "cpu"
    return not on_cpu or any(torch.cpu.get_capabilities().get(name, False) for name in names)


def bfloat16() -> torch.autocast:
    """A context for forward passes in bfloat16, where the device has it."""
    return torch.autocast(torch.get_default_device().type, torch.bfloat16, enabled=has_bfloat16())


def tensor(array: Array) -> Tensor:
    """The array as a tensor on torch's default device, which is the device that trains."""
    return torch.as_tensor(array, device=torch.get_default_device())


def rate_at(step: int, schedule: Schedule) -> float:
    """The learning rate of a step: linear warm-up, then cosine decay."""
    if step < schedule.warmup:
        return schedule.rate * (step + 1) / schedule.warmup
    progress = (step - schedule.warmup) / max(1, schedule.steps - schedule.warmup)
    return schedule.rate * (LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


def train(
    network: nn.Module,
    loss: Loss,
    *,
    schedule: Schedule,
    state: Path,
    seed: int,
    on_step: Callable[[int, float], None],
) -> None:
    """Train `network` in place for ``schedule.steps``. `on_step` is told the steps done and the average loss.

    state: the file of weights and optimizers. If it exists, training continues from it. Losses are appended to the
    ``.jsonl`` file beside it. The random numbers of a step depend only on the seed and on the step's number. So a
    training that was stopped continues with the same examples as one that was not.
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
        nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT_NORM)
        for optimizer in optimizers:
            optimizer.step()
        average = value.item() if average is None else 0.98 * average + 0.02 * value.item()
        on_step(step + 1, average)
        if (step + 1) % LOG_STEPS == 0:
            with log.open("a") as file:
                file.write(json.dumps({"step": step + 1, "loss": round(average, 4), **figures}) + "\n")
        if time.monotonic() - saved > SAVE_INTERVAL_S:
            _save(network, optimizers, state, step + 1)
            saved = time.monotonic()
    if first < schedule.steps:
        _save(network, optimizers, state, schedule.steps)
    network.requires_grad_(False).eval()


def _optimizers(network: nn.Module, *, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside transformers, AdamW for everything else, both with the same learning rate."""
    matrices: list[nn.Parameter] = []
    tables: list[nn.Parameter] = []
    vectors: list[nn.Parameter] = []
    for name, weight in network.named_parameters():
        is_inner = weight.dim() == 2 and "layers." in name and "lstm" not in name
        (matrices if is_inner else tables if weight.dim() > 1 else vectors).append(weight)
    groups = [{"params": tables, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True)]
    if matrices:
        dtype = torch.bfloat16 if has_bfloat16() else torch.float32
        optimizers.append(Muon(matrices, lr=rate, weight_decay=0.01, dtype=dtype))
    return optimizers


def _save(network: nn.Module, optimizers: list[torch.optim.Optimizer], state: Path, step: int) -> None:
    part = state.with_suffix(".part")
    optimizer_states = [optimizer.state_dict() for optimizer in optimizers]
    torch.save({"step": step, "network": network.state_dict(), "optimizers": optimizer_states}, part)
    part.rename(state)


def _restore(network: nn.Module, optimizers: list[torch.optim.Optimizer], state: Path) -> int:
    """Load a saved state if there is one. Returns the number of steps that are done."""
    if not state.exists():
        return 0
    saved: dict[str, Any] = torch.load(state, weights_only=True, map_location="cpu")  # it may be from another device
    network.load_state_dict(saved["network"])
    for optimizer, optimizer_state in zip(optimizers, saved["optimizers"], strict=True):
        optimizer.load_state_dict(optimizer_state)
    step: int = saved["step"]
    return step
