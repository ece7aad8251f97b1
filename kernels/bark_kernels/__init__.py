"""Transformers over int8 and int4 weights on a CPU, as one native function per step.

`pack_linear` and `save` make a file of packed weights, `Weights` maps it, and `Gpt` runs it. Everything takes and gives
numpy arrays. A wrong shape, type or number raises an exception.
"""

from bark_kernels.errors import KernelError, Unsupported
from bark_kernels.gpt import Gpt, Sizes
from bark_kernels.library import chosen_instruction_set, instruction_sets
from bark_kernels.packing import LAYOUT, Packed, pack_linear, pack_network, unpack_linear
from bark_kernels.weights import Weights, save

__all__ = [
    "LAYOUT",
    "Gpt",
    "KernelError",
    "Packed",
    "Sizes",
    "Unsupported",
    "Weights",
    "chosen_instruction_set",
    "instruction_sets",
    "pack_linear",
    "pack_network",
    "save",
    "unpack_linear",
]
