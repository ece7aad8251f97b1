"""The native library: its declarations for ctypes, and which instruction set is used."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from ctypes import POINTER, c_char_p, c_double, c_float, c_int, c_int32, c_size_t, c_uint8, c_void_p
from functools import cache
from pathlib import Path

from bark_kernels.errors import Unsupported
from bark_kernels.packing import Packed

#: Environment variable: the name of an instruction set, or ``off``. Unset: the best one.
VARIABLE = "BARK_KERNELS"
OFF = "off"
#: Must be what src/api.cpp says.
INTERFACE = 1

Floats = POINTER(c_float)


class Linear(ctypes.Structure):
    """``bark::Linear`` of src/layout.h."""

    _fields_ = (
        ("weights", POINTER(c_uint8)),
        ("scales", Floats),
        ("bias", Floats),
        ("n", c_int32),
        ("k", c_int32),
        ("block", c_int32),
        ("bits", c_int32),
    )


def linear_of(packed: Packed) -> Linear:
    """A packed layer for the native code. It points into the arrays, which must outlive it."""
    return Linear(
        packed.weights.ctypes.data_as(POINTER(c_uint8)),
        packed.scales.ctypes.data_as(Floats),
        packed.bias.ctypes.data_as(Floats),
        packed.columns,
        packed.inputs,
        packed.block,
        packed.bits,
    )


class Norm(ctypes.Structure):
    """``bark::Norm`` of src/gpt.h."""

    _fields_ = (("gain", Floats), ("bias", Floats))


class Layer(ctypes.Structure):
    """``bark::Layer`` of src/gpt.h."""

    _fields_ = (
        ("attention_norm", Norm),
        ("qkv", Linear),
        ("out", Linear),
        ("mlp_norm", Norm),
        ("up", Linear),
        ("down", Linear),
    )


class Network(ctypes.Structure):
    """``bark::Network`` of src/gpt.h."""

    _fields_ = (
        ("layer_count", c_int32),
        ("heads", c_int32),
        ("width", c_int32),
        ("positions", c_int32),
        ("causal", c_int32),
        ("head_count", c_int32),
        ("layers", POINTER(Layer)),
        ("position_embedding", Floats),
        ("norm", Norm),
        ("output", POINTER(Linear)),
    )


_DECLARATIONS = {
    "bark_interface": (c_int, ()),
    "bark_instruction_sets": (c_char_p, ()),
    "bark_open": (c_void_p, (POINTER(Network), c_int, c_int, c_char_p)),
    "bark_close": (None, (c_void_p,)),
    "bark_prefill": (None, (c_void_p, c_int, c_int, c_int, c_void_p, c_void_p)),
    "bark_decode": (None, (c_void_p, c_int, c_void_p, c_void_p, c_void_p)),
    "bark_encode": (None, (c_void_p, c_int, c_void_p, c_int, c_void_p)),
    "bark_move": (None, (c_void_p, c_int, c_int, c_int)),
    "bark_linear": (c_int, (c_char_p, POINTER(Linear), c_int, c_void_p, c_int, c_void_p)),
    "bark_attention": (c_int, (c_char_p, c_int, c_int, c_int, c_void_p, c_void_p, c_void_p, c_void_p)),
    "bark_normalize": (c_int, (c_char_p, c_int, c_int, c_void_p, c_void_p, c_void_p, c_void_p)),
    "bark_read_speed": (c_double, (c_void_p, c_size_t, c_int, c_int)),
}


@cache
def library() -> ctypes.CDLL:
    """The native library beside this file, or the one that ``BARK_KERNELS_LIBRARY`` names (for tests).

    Raises `Unsupported` when it cannot be loaded: it is built for x86-64 Linux.
    """
    path = os.environ.get("BARK_KERNELS_LIBRARY") or str(Path(__file__).with_name("libbark_kernels.so"))
    try:
        loaded = ctypes.CDLL(path)
    except OSError as error:
        raise Unsupported(f"The kernels' library cannot be loaded: {error}.") from error
    for name, (result, arguments) in _DECLARATIONS.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    if loaded.bark_interface() != INTERFACE:
        raise Unsupported(f"{path} has interface {loaded.bark_interface()}, this package needs {INTERFACE}.")
    return loaded


def instruction_sets() -> Sequence[str]:
    """The instruction sets of this processor that there are kernels for, best first. Empty where none fits."""
    try:
        names: bytes = library().bark_instruction_sets()
        return names.decode().split()
    except Unsupported:
        return []


def chosen_instruction_set() -> str | None:
    """The instruction set to use: what ``BARK_KERNELS`` names, else the best. None: use something else.

    Raises `Unsupported` when ``BARK_KERNELS`` names one that this processor does not have.
    """
    wanted, found = os.environ.get(VARIABLE, ""), instruction_sets()
    if wanted == OFF:
        return None
    if wanted and wanted not in found:
        raise Unsupported(
            f"{VARIABLE} is {wanted}; this processor has {' and '.join(found) or 'no kernels'}. "
            f"Set it to one of these or to {OFF}, or unset it."
        )
    return wanted or (found[0] if found else None)
