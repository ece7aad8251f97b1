"""The numbers of Bark's logit rules that `model.py` reads from a checkpoint's config.

Triton's TensorRT-LLM backend has no logits processors. So the rules are part of the engine's graph, and TensorRT-LLM
samples from logits that already follow them.
"""

from __future__ import annotations

from typing import Any

from bark_serving.spec import Spec


def rule_numbers(stage: str, spec: Spec, *, temperature: float, min_eos_p: float) -> dict[str, Any]:
    """The ``bark_…`` keys of a stage's config. Only the semantic stage uses `temperature` and `min_eos_p`."""
    if stage == "coarse":
        return {
            "bark_stage": stage,
            "bark_offset": spec.coarse.offset,
            "bark_codebooks": spec.coarse.codebooks,
            "bark_codebook_size": spec.encodec.codebook_size,
        }
    return {
        "bark_stage": stage,
        "bark_tokens": spec.semantic.vocab,
        "bark_end_token": spec.semantic.end_token,
        "bark_temperature": temperature,
        "bark_min_eos_p": min_eos_p,
    }
