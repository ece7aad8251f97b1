#!/usr/bin/env bash
# Package: torch 2.13.0
# Behaviour: torch.optim.Muon computes its steps in bfloat16 for weights and gradients of float32, on every device and
#   without autocast. Its page names no number format. A CPU without bfloat16 imitates it: on one with AVX2 alone, a step
#   of a 192 x 576 matrix took 12 times as long as the same iteration in float32.
# A good guess: an optimizer computes in the format of its weights, as AdamW and SGD do.
# Seen 2026-11-30: all 4096 entries of the step are bfloat16 numbers; AdamW: 16 of 4096 or fewer
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check torch==2.13.0 numpy==2.3.5

"$work/env/bin/python" - << 'PYTHON'
import torch

torch.manual_seed(0)
gradient = torch.randn(64, 64)


def entries_in_bfloat16(optimizer: type[torch.optim.Optimizer], **settings: float) -> int:
    """How many entries of the first step, from weights of 0 at a learning rate of 1, are bfloat16 numbers."""
    weight = torch.nn.Parameter(torch.zeros(64, 64))
    weight.grad = gradient.clone()
    optimizer([weight], lr=1.0, weight_decay=0.0, **settings).step()
    assert weight.dtype == torch.float32
    return int((weight == weight.bfloat16().float()).sum())


muon = entries_in_bfloat16(torch.optim.Muon)
adamw = entries_in_bfloat16(torch.optim.AdamW, eps=1.0)  # an epsilon that keeps the steps from being plus or minus 1
print(f"of {gradient.numel()} entries of a step, bfloat16 can hold: Muon {muon}, AdamW {adamw}")
assert muon == gradient.numel()
assert adamw < 100
PYTHON
