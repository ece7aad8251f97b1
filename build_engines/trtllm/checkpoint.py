"""A bundle's GPTs as TensorRT-LLM checkpoints: ``config.json`` and ``rank0.safetensors``.

Bark's GPTs differ from TensorRT-LLM's GPT-2 in three points. TensorRT-LLM's layer norms always have a bias, which is
zero here. GELU is the exact one, and the head applies Bark's logit rules: `model.py` does both. Linear layers need no
change: both sides keep them as [out, in], with query, key and value stacked in this order.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bark_serving.bundle import Bundle
from bark_serving.networks.gpt import NORM_EPSILON
from bark_serving.spec import GptSpec, GptStage
from build_engines.errors import BuildError
from build_engines.trtllm.rules import rule_numbers
from build_engines.trtllm.versions import DEFAULT, TABLE, Release

Dtype = Literal["float16", "bfloat16", "float32"]

CONFIG, WEIGHTS = "config.json", "rank0.safetensors"

#: TensorRT-LLM quantizes linears and embeddings while it loads them, except those that match these patterns.
_NOT_QUANTIZED = ["*lm_head", "*vocab_embedding", "*position_embedding"]

#: Our tensor names → TensorRT-LLM's.
_NAMES = {
    r"^token_embedding\.": "transformer.vocab_embedding.",
    r"^position_embedding\.": "transformer.position_embedding.",
    r"^layers\.(\d+)\.attention_norm\.": r"transformer.layers.\1.input_layernorm.",
    r"^layers\.(\d+)\.attention\.qkv\.": r"transformer.layers.\1.attention.qkv.",
    r"^layers\.(\d+)\.attention\.out\.": r"transformer.layers.\1.attention.dense.",
    r"^layers\.(\d+)\.mlp_norm\.": r"transformer.layers.\1.post_layernorm.",
    r"^layers\.(\d+)\.mlp\.up\.": r"transformer.layers.\1.mlp.fc.",
    r"^layers\.(\d+)\.mlp\.down\.": r"transformer.layers.\1.mlp.proj.",
    r"^norm\.": "transformer.ln_f.",
    r"^head\.": "lm_head.",
}
_NORM = re.compile(r"(layernorm|ln_f)\.weight$")


@dataclass(frozen=True)
class Constants:
    """Numbers that are built into a semantic engine, because Triton's backend cannot pass them with a request."""

    temperature: float  #: at which the end token's probability is computed
    min_eos_p: float  #: speech ends where the end token is at least this likely

    def __post_init__(self) -> None:
        if not self.temperature > 0 or not 0 < self.min_eos_p <= 1:
            raise BuildError(
                f"temperature {self.temperature} and min_eos_p {self.min_eos_p} cannot be built into an engine.",
                remedy="The temperature must be above 0, min_eos_p above 0 and at most 1.",
            )


def engine_constants(bundle: Bundle, *, temperature: float | None = None, min_eos_p: float | None = None) -> Constants:
    """The given constants, with the bundle's default for None. Raises `BuildError` for a number out of range."""
    sampling = bundle.spec.sampling
    return Constants(
        temperature=sampling.semantic_temperature if temperature is None else temperature,
        min_eos_p=sampling.min_eos_p if min_eos_p is None else min_eos_p,
    )


def config_of(
    bundle: Bundle,
    *,
    stage: GptStage,
    dtype: Dtype,
    int8: bool = False,
    constants: Constants | None = None,
    release: Release = DEFAULT,
) -> dict[str, Any]:
    """The content of ``config.json``. `int8`: ``trtllm-build`` quantizes the weights; activations stay `dtype`."""
    gpt, chosen = bundle.spec.gpt(stage), constants or engine_constants(bundle)
    quantization: dict[str, Any] = {"quant_algo": None, "kv_cache_quant_algo": None}
    if int8:
        quantization |= {"quant_algo": "W8A16", "exclude_modules": _NOT_QUANTIZED}
    return {
        "architecture": TABLE[release].architecture,
        "dtype": dtype,
        "logits_dtype": "float32",
        "vocab_size": gpt.output_vocab,
        "hidden_size": gpt.width,
        "num_hidden_layers": gpt.layers,
        "num_attention_heads": gpt.heads,
        "num_key_value_heads": gpt.heads,
        "head_size": gpt.head_width,
        "intermediate_size": 4 * gpt.width,
        "max_position_embeddings": gpt.block_size,
        "position_embedding_type": "learned_absolute",
        "hidden_act": "gelu_erf",
        "norm_epsilon": NORM_EPSILON,
        "bias": gpt.bias,
        "gpt_variant": "gpt2",
        "q_scaling": 1.0,
        "use_parallel_embedding": False,
        "embedding_sharding_dim": 0,
        "mapping": {"world_size": 1, "tp_size": 1, "pp_size": 1},
        "quantization": quantization,
        **rule_numbers(stage, bundle.spec, temperature=chosen.temperature, min_eos_p=chosen.min_eos_p),
    }


def tensors_of(bundle: Bundle, *, stage: GptStage, dtype: Dtype) -> dict[str, Tensor]:
    """The tensors of ``rank0.safetensors``. Raises `BuildError` if TensorRT-LLM's GPT cannot express the network."""
    gpt, kind = bundle.spec.gpt(stage), getattr(torch, dtype)
    _check_vocabularies(bundle, stage, gpt)
    tensors: dict[str, Tensor] = {}
    for name, tensor in load_file(bundle.weights(stage)).items():
        if name == "token_embedding.weight":
            # TensorRT-LLM has one vocabulary size for input and output. Ids beyond the output's occur in the semantic
            # prompt only, and its embeddings come with the request.
            tensor = tensor[: gpt.output_vocab]
        tensors[_renamed(name)] = tensor.to(kind).contiguous()
    if not gpt.bias:
        for name in [name for name in tensors if _NORM.search(name)]:
            tensors[name.removesuffix("weight") + "bias"] = torch.zeros(gpt.width, dtype=kind)
    return tensors


def write(
    bundle: Bundle,
    folder: Path,
    *,
    stage: GptStage,
    dtype: Dtype,
    int8: bool = False,
    constants: Constants | None = None,
    release: Release = DEFAULT,
) -> None:
    """Write a stage's checkpoint into `folder`, which is created. float32 is for comparisons, not for serving."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors_of(bundle, stage=stage, dtype=dtype), folder / WEIGHTS)
    (folder / WEIGHTS).chmod(0o644)  # safetensors makes it private
    config = config_of(bundle, stage=stage, dtype=dtype, int8=int8, constants=constants, release=release)
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _renamed(name: str) -> str:
    for pattern, replacement in _NAMES.items():
        if re.match(pattern, name):
            return re.sub(pattern, replacement, name)
    raise BuildError(f"The tensor {name} has no place in a TensorRT-LLM checkpoint.", remedy="Import the bundle again.")


def _check_vocabularies(bundle: Bundle, stage: GptStage, gpt: GptSpec) -> None:
    fits = gpt.input_vocab >= gpt.output_vocab if stage == "semantic" else gpt.input_vocab == gpt.output_vocab
    if not fits:
        raise BuildError(
            f"The {stage} network of {bundle.spec.name} has {gpt.input_vocab} input ids and {gpt.output_vocab} output "
            "ids; TensorRT-LLM's GPT has one vocabulary.",
            remedy="Serve this checkpoint with the cpu or torch profile.",
        )
