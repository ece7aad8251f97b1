"""The least time that the GPTs take on GPUs, as a table: an estimate from published numbers, not a measurement.

A decode step at batch 1 reads every weight and the whole KV cache once, so its time is at least those bytes divided by
the GPU's memory bandwidth (`benchmarks.roofline`). Prefills, launches of kernels and all other stages come on top.

Run ``python -m benchmarks.gpu_roofline`` to print the table of docs/gpu.md.
"""

from __future__ import annotations

from bark_serving.spec import GptStage, Spec
from benchmarks.roofline import cut_head, read_weights
from build_engines.tensorrt.weights import BLOCK

SPEECH_S = 10.0
#: Memory bandwidth in GB/s, from NVIDIA's data sheets.
GPUS = {
    "RTX 3090": 936,
    "RTX 4090": 1_008,
    "RTX 5090": 1_792,
    "L4": 300,
    "A100 80 GB": 2_039,
    "H100 SXM": 3_350,
    "H200": 4_800,
}
#: Bytes per weight of a layer; the head has two bytes in both. int4 has one float16 scale per block.
WEIGHT_BYTES = {"fp16": 2.0, "int4": 0.5 + 2 / BLOCK}
_CACHE_BYTES = 2  #: of a number in the cache, in both
STAGES: tuple[GptStage, ...] = ("semantic", "coarse")


def tokens(stage: GptStage, spec: Spec) -> int:
    """Tokens of `SPEECH_S` seconds of speech."""
    semantic = round(spec.semantic.rate_hz * SPEECH_S)
    return semantic if stage == "semantic" else round(semantic * spec.semantic_to_coarse)


def step_bytes(stage: GptStage, spec: Spec, *, precision: str) -> float:
    """Bytes that one step of a plan reads: its attention reads the whole cache, however short the sequence is."""
    gpt = spec.gpt(stage)
    cache = 2 * gpt.layers * gpt.width * gpt.block_size * _CACHE_BYTES
    head = cut_head(stage, spec) * gpt.width
    layers = read_weights(gpt, head_rows=cut_head(stage, spec)) - head
    return layers * WEIGHT_BYTES[precision] + 2 * head + cache


def seconds(stage: GptStage, spec: Spec, *, precision: str, gigabytes_per_s: float) -> float:
    """The least time of all steps of a stage for `SPEECH_S` seconds of speech."""
    return tokens(stage, spec) * step_bytes(stage, spec, precision=precision) / gigabytes_per_s / 1e9


def table(spec: Spec) -> str:
    """A Markdown table of seconds: a row per GPU, a column per stage and precision."""
    columns = [(stage, precision) for precision in WEIGHT_BYTES for stage in STAGES]
    lines = [
        f"| GPU | GB/s | {' | '.join(f'{stage} {precision}' for stage, precision in columns)} |",
        f"|---|--:|{'--:|' * len(columns)}",
    ]
    for name, bandwidth in GPUS.items():
        cells = [
            f"{seconds(stage, spec, precision=precision, gigabytes_per_s=bandwidth):.2f}"
            for stage, precision in columns
        ]
        lines.append(f"| {name} | {bandwidth} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(Spec(name="large")))
