"""Single operations on one thread, for tests and benchmarks."""

from __future__ import annotations

import ctypes

import numpy as np

from bark_kernels import library as native
from bark_kernels.errors import KernelError
from bark_kernels.gpt import MAX_HEAD_WIDTH, MAX_POSITIONS
from bark_kernels.packing import PANEL, Bytes, Floats, Packed


def linear(packed: Packed, x: Floats, *, instruction_set: str, gelu: bool = False) -> Floats:
    """x [m, k] → [m, n], with GELU if wanted."""
    if x.dtype != np.float32 or x.ndim != 2 or x.shape[1] != packed.inputs:
        raise ValueError(f"x is {x.dtype} {list(x.shape)}; it must be float32 [m, {packed.inputs}].")
    layer = native.linear_of(packed)
    x = np.ascontiguousarray(x)
    y = np.empty((len(x), packed.columns), np.float32)
    _check(
        native.library().bark_linear(
            instruction_set.encode(), ctypes.byref(layer), len(x), x.ctypes.data, int(gelu), y.ctypes.data
        )
    )
    return y


def attention(queries: Floats, keys: Floats, values: Floats, *, causal: bool, instruction_set: str) -> Floats:
    """Attention of one head over an int8 cache: [n, width] each → [n, width]."""
    shape = queries.shape
    if len(shape) != 2 or shape[1] % PANEL or not PANEL <= shape[1] <= MAX_HEAD_WIDTH:
        raise ValueError(f"queries has shape {list(shape)}; the width must be a multiple of {PANEL}.")
    if not 1 <= shape[0] <= MAX_POSITIONS:
        raise ValueError(f"queries has {shape[0]} positions; it must have 1 … {MAX_POSITIONS}.")
    if any(x.shape != shape or x.dtype != np.float32 for x in (queries, keys, values)):
        raise ValueError("queries, keys and values must be float32 of one shape.")
    q, k, v = (np.ascontiguousarray(x) for x in (queries, keys, values))
    out = np.empty(shape, np.float32)
    pointers = (x.ctypes.data for x in (q, k, v, out))
    _check(native.library().bark_attention(instruction_set.encode(), *shape, int(causal), *pointers))
    return out


def normalize(x: Floats, gain: Floats, bias: Floats, *, instruction_set: str) -> Floats:
    """Layer normalization of [m, k]."""
    if x.ndim != 2 or x.shape[1] % PANEL or any(part.shape != x.shape[1:] for part in (gain, bias)):
        raise ValueError(f"x must be [m, k], k a multiple of {PANEL}, and gain and bias [k].")
    if any(part.dtype != np.float32 for part in (x, gain, bias)):
        raise TypeError("x, gain and bias must be float32.")
    x, gain, bias = (np.ascontiguousarray(part) for part in (x, gain, bias))
    y = np.empty_like(x)
    pointers = (part.ctypes.data for part in (x, gain, bias, y))
    _check(native.library().bark_normalize(instruction_set.encode(), *x.shape, *pointers))
    return y


def read_speed(memory: Bytes, *, threads: int, repeats: int = 5) -> float:
    """Bytes per second at which ``threads`` threads read an array, the best of some times."""
    speed: float = native.library().bark_read_speed(memory.ctypes.data, memory.nbytes, threads, repeats)
    return speed


def _check(result: int) -> None:
    if result:
        raise KernelError("There is no memory, or this processor does not have that instruction set.")
