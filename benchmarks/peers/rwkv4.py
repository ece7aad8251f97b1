"""An RWKV-4 of any size with random weights, for the `rwkv` package."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

NAME = "rwkv 4"


def weights(*, layers: int, width: int, vocab: int, seed: int = 0) -> dict[str, Tensor]:
    """A checkpoint with the names and shapes of the RWKV-4 trainer: BlinkDL/RWKV-LM, RWKV-v4neo/src/model.py."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator) / math.sqrt(shape[-1])

    def norm(name: str) -> dict[str, Tensor]:
        return {f"{name}.weight": torch.ones(width), f"{name}.bias": torch.zeros(width)}

    found = {"emb.weight": random(vocab, width), **norm("blocks.0.ln0")}
    for i in range(layers):
        block = f"blocks.{i}."
        found |= {**norm(block + "ln1"), **norm(block + "ln2")}
        found |= {f"{block}att.time_decay": random(width), f"{block}att.time_first": random(width)}
        found |= {f"{block}att.time_mix_{kind}": torch.full((1, 1, width), 0.5) for kind in "kvr"}
        found |= {
            f"{block}att.{name}.weight": random(width, width) for name in ("key", "value", "receptance", "output")
        }
        found |= {f"{block}ffn.time_mix_{kind}": torch.full((1, 1, width), 0.5) for kind in "kr"}
        found[f"{block}ffn.key.weight"] = random(4 * width, width)
        found[f"{block}ffn.receptance.weight"] = random(width, width)
        found[f"{block}ffn.value.weight"] = random(width, 4 * width)
    return {**found, **norm("ln_out"), "head.weight": random(vocab, width)}


def load(checkpoint: dict[str, Tensor], folder: Path, *, device: str = "cpu") -> Callable[[int], int]:
    """A function that generates n greedy tokens in fp32, starting from token 1, and returns the last."""
    os.environ.setdefault("RWKV_JIT_ON", "1")
    os.environ.setdefault("RWKV_CUDA_ON", "0")
    from rwkv.model import RWKV

    path = folder / "rwkv4.pth"
    torch.save(checkpoint, path)
    model: Any = RWKV(str(path.with_suffix("")), strategy=f"{device} fp32", verbose=False)
    path.unlink()

    def generate(count: int) -> int:
        token, state = 1, None
        for _ in range(count):
            logits, state = model.forward([token], state)
            token = int(logits.argmax())
        return token

    return generate
