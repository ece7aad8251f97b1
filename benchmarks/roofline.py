"""The least time that decoding can take: each step reads every weight once, and memory bandwidth is limited.

This is the memory-bound part of the roofline model (Williams, Waterman, Patterson 2009). At batch 1, a decode step
does only two operations per weight, so memory limits its speed and arithmetic does not.
"""

from __future__ import annotations

import math

from bark_serving.bundle import Bundle
from bark_serving.decoding.rules import head_rows, rule_of
from bark_serving.profiles import Precision
from bark_serving.spec import GptSpec, GptStage, Network, Spec
from benchmarks.errors import BenchmarkError
from build_engines.export.quantize import BLOCKS

#: Bytes per weight, including the scales of weight-only quantization (one float per block).
WEIGHT_BYTES: dict[str, float] = {
    "fp32": 4,
    "bf16": 2,
    "fp16": 2,
    "int8": 1 + 4 / BLOCKS[8],
    "int4": 0.5 + 4 / BLOCKS[4],
}
#: Bytes per element of the KV cache.
CACHE_BYTES: dict[str, float] = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1, "int4": 1}


def read_weights(gpt: GptSpec, *, head_rows: int | None = None) -> int:
    """The number of weights that one decode step reads: those of the layers, the head and two rows of embeddings.

    head_rows: rows of the head, if it was cut to the ids that can be sampled.
    """
    layer = 12 * gpt.width**2 + 2 * gpt.width
    return gpt.layers * layer + (head_rows or gpt.output_vocab) * gpt.width + gpt.width


def cut_head(stage: GptStage, spec: Spec) -> int:
    """Rows of the head that engines for the CPU keep: the ids that can be sampled."""
    rows = head_rows(rule_of(stage, spec))
    return int(rows.stop - rows.start)


def bytes_per_token(gpt: GptSpec, *, precision: Precision | str, context: int, head_rows: int | None = None) -> float:
    """Bytes that a decode step reads with ``context`` positions in the KV cache."""
    if precision not in WEIGHT_BYTES:
        raise BenchmarkError(f"The roofline has no entry for {precision}.", remedy="Add it to WEIGHT_BYTES.")
    cache = 2 * gpt.layers * gpt.width * context * CACHE_BYTES[precision]
    return read_weights(gpt, head_rows=head_rows) * WEIGHT_BYTES[precision] + cache


def parameters(bundle: Bundle, network: Network) -> int:
    """The number of weights in a network's file."""
    from safetensors import safe_open

    with safe_open(bundle.weights(network), "numpy") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 - not a dict
