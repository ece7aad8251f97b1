"""How fast decoding could be at best: every weight is read once a token, and memory gives so many bytes a second.

The model is the roofline's slanted part (Williams, Waterman, Patterson 2009): at batch 1 a decode step does two
operations a weight, far too few to be bound by arithmetic.
"""

from __future__ import annotations

import math

from bark_serving.bundle import Bundle
from bark_serving.decoding.rules import head_rows, rule_of
from bark_serving.profiles import Precision
from bark_serving.spec import GptSpec, GptStage, Network, Spec
from benchmarks.errors import BenchmarkError
from build_engines.export.quantize import BLOCKS

#: Bytes a weight, scales of weight-only quantization (one float a block) included.
WEIGHT_BYTES: dict[str, float] = {
    "fp32": 4,
    "bf16": 2,
    "fp16": 2,
    "int8": 1 + 4 / BLOCKS[8],
    "int4": 0.5 + 4 / BLOCKS[4],
}
CACHE_BYTES: dict[str, float] = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1, "int4": 1}  #: an element of the KV cache


def read_weights(gpt: GptSpec, *, head_rows: int | None = None) -> int:
    """Weights that one decode step reads: the layers and the head, of the embeddings two rows.

    head_rows: of a head that was cut to what can be drawn.
    """
    layer = 12 * gpt.width**2 + 2 * gpt.width
    return gpt.layers * layer + (head_rows or gpt.output_vocab) * gpt.width + gpt.width


def cut_head(stage: GptStage, spec: Spec) -> int:
    """Rows of the head that engines for the CPU keep: what can be drawn."""
    rows = head_rows(rule_of(stage, spec))
    return int(rows.stop - rows.start)


def bytes_a_token(gpt: GptSpec, *, precision: Precision | str, context: int, head_rows: int | None = None) -> float:
    """Bytes that a decode step reads at ``context`` positions in the cache."""
    if precision not in WEIGHT_BYTES:
        raise BenchmarkError(f"The roofline does not know {precision}.", remedy="Add it to WEIGHT_BYTES.")
    cache = 2 * gpt.layers * gpt.width * context * CACHE_BYTES[precision]
    return read_weights(gpt, head_rows=head_rows) * WEIGHT_BYTES[precision] + cache


def parameters(bundle: Bundle, network: Network) -> int:
    """Weights of a network's file."""
    from safetensors import safe_open

    with safe_open(bundle.weights(network), "numpy") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 - not a dict
