"""Weights in the layout of the kernels: quantized in blocks, in panels of 16 columns. README.md draws the layout."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

#: Version of the layout of a file of weights. It changes whenever the layout or the arithmetic of packing does.
LAYOUT = 2
PANEL = 16  #: columns of a panel
GROUP = 4  #: weights of a column that lie beside each other
#: Bits of a weight → maximum number of weights that share a scale.
MAX_BLOCKS = {8: 256, 4: 32}
#: Bits of a weight → the number that stands for zero.
ZEROS = {8: 128, 4: 8}
#: Bits of a weight → the largest step. With 4 bits, a block uses the eighth negative step too.
_MAX_STEPS = {8: 127, 4: 7}
_TINY = np.float32(1e-12)


@dataclass(frozen=True)
class Packed:
    """A linear layer y = x Wᵀ + bias, packed."""

    weights: Bytes  #: [panels, k / (32 / bits), 16, 4]
    scales: Floats  #: [panels, k / block, 16]
    bias: Floats  #: [panels × 16]
    columns: int  #: n: columns of the output
    bits: int

    @property
    def inputs(self) -> int:
        """k: columns of the input."""
        return self.weights.shape[1] * 32 // self.bits

    @property
    def block(self) -> int:
        """Weights that share a scale."""
        return self.inputs // self.scales.shape[1]


def block_size(inputs: int, *, bits: int) -> int:
    """The largest power of two that `MAX_BLOCKS` allows and that divides ``inputs``.

    Raises `ValueError` if there is none.
    """
    if inputs < 1 or inputs % PANEL:
        raise ValueError(f"A layer of {inputs} inputs cannot be packed: the number must be a multiple of {PANEL}.")
    return math.gcd(MAX_BLOCKS[bits], inputs)


def pack_linear(weight: Floats, bias: Floats | None = None, *, bits: int = 8) -> Packed:
    """Quantize and pack a weight [n, k]. Raises `ValueError` for k that is not a multiple of 16."""
    if bits not in MAX_BLOCKS:
        raise ValueError(f"bits is {bits}; it must be 8 or 4.")
    if weight.ndim != 2 or weight.dtype != np.float32:
        raise ValueError(f"A weight must be float32 [n, k]; this is {weight.dtype} {list(weight.shape)}.")
    n, k = weight.shape
    if bias is not None and (bias.shape != (n,) or bias.dtype != np.float32):
        raise ValueError(f"The bias must be float32 [{n}]; this is {bias.dtype} {list(bias.shape)}.")
    block = block_size(k, bits=bits)
    panels = -(-n // PANEL)
    padded = np.zeros((panels * PANEL, k // block, block), np.float32)
    padded[:n] = weight.reshape(n, k // block, block)
    steps, scales = _quantize(padded, bits=bits)
    unsigned = (steps + ZEROS[bits]).astype(np.uint8).reshape(panels, PANEL, k // GROUP, GROUP)
    groups: Bytes = unsigned.transpose(0, 2, 1, 3)  # [panels, k / 4, 16, 4]
    if bits == 4:
        groups = (groups[:, ::2] | (groups[:, 1::2] << 4)).astype(np.uint8)
    full_bias = np.zeros(panels * PANEL, np.float32)
    if bias is not None:
        full_bias[:n] = bias
    return Packed(
        weights=np.ascontiguousarray(groups),
        scales=np.ascontiguousarray(scales.reshape(panels, PANEL, -1).transpose(0, 2, 1)),
        bias=full_bias,
        columns=n,
        bits=bits,
    )


def unpack_linear(packed: Packed) -> Floats:
    """The weight [n, k] that the packed one stands for."""
    groups = packed.weights
    if packed.bits == 4:
        groups = np.stack([groups & 15, groups >> 4], axis=2).reshape(groups.shape[0], -1, PANEL, GROUP)
    steps = groups.astype(np.int32) - ZEROS[packed.bits]
    rows = steps.transpose(0, 2, 1, 3).reshape(-1, packed.scales.shape[1], packed.block)
    scales = packed.scales.transpose(0, 2, 1).reshape(len(rows), -1)
    weight: Floats = (rows * scales[..., None]).astype(np.float32).reshape(len(rows), -1)[: packed.columns]
    return weight


def _quantize(blocks: Floats, *, bits: int) -> tuple[npt.NDArray[np.int32], Floats]:
    """Steps and scales of blocks [n, blocks, block].

    8 bits: the largest size is step 127. 4 bits: the value of largest size is step -8, whatever its sign.
    """
    if bits == 8:
        largest = np.abs(blocks).max(-1)
        scales = np.maximum(largest / np.float32(_MAX_STEPS[8]), _TINY)
        low = -_MAX_STEPS[8]
    else:
        at = np.abs(blocks).argmax(-1)
        extreme = np.take_along_axis(blocks, at[..., None], -1)[..., 0]
        scales = extreme / np.float32(-8)
        scales = np.where(np.abs(scales) < _TINY, _TINY, scales)
        low = -8
    steps = np.clip(np.rint(blocks / scales[..., None]), low, _MAX_STEPS[bits])
    return steps.astype(np.int32), scales.astype(np.float32)


def pack_network(
    tensors: Mapping[str, Floats], *, layers: int, bits: int, outputs: Mapping[str, Floats]
) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a file of weights, by name.

    tensors: of nanoGPT's network under this project's names: ``layers.0.attention_norm.weight``,
    ``layers.0.attention.qkv.weight``, …, ``norm.weight``, ``position_embedding.weight``. Biases may be absent.
    outputs: the output layers [n, width] by name: ``head``, or one for each codebook.
    """
    arrays: dict[str, npt.NDArray[Any]] = {"position_embedding": _floats(tensors["position_embedding.weight"])}

    def norm(name: str) -> None:
        gain = _floats(tensors[f"{name}.weight"])
        arrays[f"{name}.gain"] = gain
        bias = tensors.get(f"{name}.bias")
        arrays[f"{name}.bias"] = np.zeros_like(gain) if bias is None else _floats(bias)

    def linear(name: str, weight: Floats, bias: Floats | None) -> None:
        packed = pack_linear(_floats(weight), None if bias is None else _floats(bias), bits=bits)
        arrays[f"{name}.weights"], arrays[f"{name}.scales"] = packed.weights, packed.scales
        arrays[f"{name}.bias"] = packed.bias

    for i in range(layers):
        for name in NORMS:
            norm(f"layers.{i}.{name}")
        for name in LINEARS:
            at = f"layers.{i}.{name}"
            linear(at, tensors[f"{at}.weight"], tensors.get(f"{at}.bias"))
    norm("norm")
    for name, weight in outputs.items():
        linear(name, weight, None)
    return arrays


NORMS = ("attention_norm", "mlp_norm")
LINEARS = ("attention.qkv", "attention.out", "mlp.up", "mlp.down")


def names(layers: int, outputs: Iterable[str]) -> set[str]:
    """The names of all arrays of a file."""
    at = [f"layers.{i}.{name}" for i in range(layers) for name in LINEARS] + list(outputs)
    norms = [f"layers.{i}.{name}" for i in range(layers) for name in NORMS] + ["norm"]
    linear = {f"{name}.{part}" for name in at for part in ("weights", "scales", "bias")}
    return linear | {f"{name}.{part}" for name in norms for part in ("gain", "bias")} | {"position_embedding"}


def _floats(array: Floats) -> Floats:
    return np.ascontiguousarray(array, np.float32)
