"""Muon, the optimizer of matrices (Jordan et al., 2024), in the number format that the processor computes in.

`torch.optim.Muon` computes in bfloat16 on every device. A CPU without bfloat16 imitates it: on a Zen 3, that took over
half the time of a training step.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
COEFFICIENTS = 3.4445, -4.7750, 2.0315  #: of the polynomial a x + b x³ + c x⁵ (Jordan et al.)
ITERATIONS = 5
RMS = 0.2  #: root mean square of a step's entries before the learning rate: that of AdamW's steps


class Muon(torch.optim.Optimizer):
    """Steps along the momentum with all its singular values brought near 1, as large as those of AdamW.

    The size of the steps is that of Liu et al., "Muon is Scalable for LLM Training" (2025). So AdamW's learning rate
    fits.

    dtype: of the products of matrices; bfloat16 where the device has it, else float32.
    """

    def __init__(self, matrices: Iterable[nn.Parameter], *, lr: float, weight_decay: float, dtype: torch.dtype) -> None:
        self._dtype = dtype
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no closure is called
        """Move every matrix that has a gradient."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                momentum = self.state[matrix].setdefault("momentum_buffer", torch.zeros_like(matrix))
                momentum.lerp_(matrix.grad, 1 - MOMENTUM)
                direction = orthogonalised(matrix.grad.lerp(momentum, MOMENTUM), dtype=self._dtype)
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(direction, alpha=-group["lr"] * RMS * max(matrix.shape) ** 0.5)


def orthogonalised(matrix: Tensor, *, dtype: torch.dtype) -> Tensor:
    """The matrix with its singular values brought to between 0.5 and 1.5: [rows, columns] in `dtype`.

    A polynomial of the singular values is applied to them `ITERATIONS` times (Newton and Schulz).
    """
    a, b, c = COEFFICIENTS
    x = matrix.to(dtype)
    if is_tall := x.shape[0] > x.shape[1]:
        x = x.T  # the smaller square is the cheaper one
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.T if is_tall else x
