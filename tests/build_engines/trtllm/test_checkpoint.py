"""Written checkpoints: exactly the tensors, shapes, types and config keys that TensorRT-LLM's GPT reads."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from bark_serving.bundle import Bundle
from bark_serving.spec import GptSpec, GptStage
from build_engines.errors import BuildError
from build_engines.trtllm import checkpoint
from build_engines.trtllm.checkpoint import Constants, Dtype
from build_engines.trtllm.versions import RELEASES, Release
from tests.build_engines.trtllm.published import PUBLISHED
from tests.bundles import random_bundle, small_spec


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return random_bundle(tmp_path_factory.mktemp("ck") / "bundle", small_spec(), networks=["semantic", "coarse"])


def expected_tensors(gpt: GptSpec) -> dict[str, tuple[int, ...]]:
    """By hand, from TensorRT-LLM's ``models/gpt/model.py``."""
    w, shapes = gpt.width, {}
    shapes["transformer.vocab_embedding.weight"] = (gpt.output_vocab, w)
    shapes["transformer.position_embedding.weight"] = (gpt.block_size, w)
    for i in range(gpt.layers):
        layer = f"transformer.layers.{i}."
        for norm in ("input_layernorm", "post_layernorm"):
            shapes |= {f"{layer}{norm}.weight": (w,), f"{layer}{norm}.bias": (w,)}
        linears = {"attention.qkv": (3 * w, w), "attention.dense": (w, w), "mlp.fc": (4 * w, w), "mlp.proj": (w, 4 * w)}
        for name, shape in linears.items():
            shapes[f"{layer}{name}.weight"] = shape
            if gpt.bias:
                shapes[f"{layer}{name}.bias"] = shape[:1]
    shapes |= {"transformer.ln_f.weight": (w,), "transformer.ln_f.bias": (w,)}
    shapes["lm_head.weight"] = (gpt.output_vocab, w)
    return shapes


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("stage", ["semantic", "coarse"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_checkpoint_has_exactly_the_tensors_that_are_read(
    tmp_path: Path, stage: GptStage, dtype: Dtype, bias: bool
) -> None:
    bundle = random_bundle(tmp_path / "bundle", small_spec(bias=bias), networks=[stage])
    checkpoint.write(bundle, tmp_path / "out", stage=stage, dtype=dtype)
    tensors = load_file(tmp_path / "out/rank0.safetensors")
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == expected_tensors(bundle.spec.gpt(stage))
    assert {tensor.dtype for tensor in tensors.values()} == {getattr(torch, dtype)}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["config.json", "rank0.safetensors"]


def test_weights_keep_their_order_and_missing_norm_biases_are_zeros(bundle: Bundle, tmp_path: Path) -> None:
    checkpoint.write(bundle, tmp_path, stage="semantic", dtype="float32")
    ours, theirs = load_file(bundle.weights("semantic")), load_file(tmp_path / "rank0.safetensors")
    layer = "transformer.layers.1."
    assert torch.equal(theirs[layer + "attention.qkv.weight"], ours["layers.1.attention.qkv.weight"])
    assert torch.equal(theirs[layer + "post_layernorm.weight"], ours["layers.1.mlp_norm.weight"])
    assert torch.equal(theirs["transformer.vocab_embedding.weight"], ours["token_embedding.weight"][:10_048])
    assert not theirs[layer + "input_layernorm.bias"].any() and not theirs["transformer.ln_f.bias"].any()


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("stage", ["semantic", "coarse"])
@pytest.mark.parametrize("int8", [False, True])
def test_a_config_has_only_keys_and_values_that_tensorrt_llm_knows(
    bundle: Bundle, tmp_path: Path, stage: GptStage, release: Release, int8: bool
) -> None:
    checkpoint.write(bundle, tmp_path, stage=stage, dtype="float16", int8=int8, release=release)
    config: dict[str, Any] = json.loads((tmp_path / "config.json").read_text())
    known = PUBLISHED[release]["checkpoint"]
    theirs = {key for key in config if not key.startswith("bark_")}
    assert theirs <= set(known["keys"])
    assert set(known["required"]) <= theirs
    assert set(config["mapping"]) <= set(known["mapping"])
    assert set(config["quantization"]) <= set(known["quantization"])
    assert config["architecture"] in known["architectures"]
    assert config["position_embedding_type"] in known["position_embedding_types"]
    assert config["dtype"] in known["dtypes"] and config["logits_dtype"] == "float32"
    assert config["quantization"]["quant_algo"] in known["quant_algos"]
    assert config["hidden_act"] not in known["activations"], "every stock GELU is the tanh form"
    assert all(isinstance(config[key], (int, float, str)) for key in set(config) - theirs)


def test_the_numbers_of_a_config_come_from_the_spec(bundle: Bundle) -> None:
    config = checkpoint.config_of(bundle, stage="semantic", dtype="float16")
    gpt = bundle.spec.semantic.gpt
    assert config["vocab_size"] == gpt.output_vocab < gpt.input_vocab
    assert (config["hidden_size"], config["head_size"], config["intermediate_size"]) == (32, 16, 128)
    assert config["max_position_embeddings"] == gpt.block_size
    assert (config["bark_temperature"], config["bark_min_eos_p"]) == (0.7, 0.2)
    chosen = Constants(temperature=0.9, min_eos_p=0.5)
    config = checkpoint.config_of(bundle, stage="semantic", dtype="float16", constants=chosen)
    assert (config["bark_temperature"], config["bark_min_eos_p"]) == (0.9, 0.5)


def test_int8_weights_are_left_to_the_loader_except_head_and_embeddings(bundle: Bundle, tmp_path: Path) -> None:
    checkpoint.write(bundle, tmp_path, stage="coarse", dtype="float16", int8=True)
    quantization = json.loads((tmp_path / "config.json").read_text())["quantization"]
    assert quantization["quant_algo"] == "W8A16"
    for module in PUBLISHED["1.0.0"]["checkpoint"]["quantized_unless_excluded"]:
        assert any(fnmatchcase(module, pattern) for pattern in quantization["exclude_modules"])
    assert not any(fnmatchcase("transformer.layers.0.mlp.fc", pattern) for pattern in quantization["exclude_modules"])
    assert {tensor.dtype for tensor in load_file(tmp_path / "rank0.safetensors").values()} == {torch.float16}


@pytest.mark.parametrize(("temperature", "min_eos_p"), [(0, 0.2), (-1, 0.2), (0.7, 0), (0.7, 1.5), (float("nan"), 0.2)])
def test_constants_out_of_range_are_refused(temperature: float, min_eos_p: float) -> None:
    with pytest.raises(BuildError, match="cannot be built into an engine"):
        Constants(temperature=temperature, min_eos_p=min_eos_p)


def test_a_coarse_network_with_two_vocabularies_is_refused(tmp_path: Path) -> None:
    spec = small_spec()
    gpt = spec.coarse.gpt.model_copy(update={"input_vocab": 12_200})
    spec = spec.model_copy(update={"coarse": spec.coarse.model_copy(update={"gpt": gpt})})
    bundle = random_bundle(tmp_path / "bundle", spec, networks=["coarse"])
    with pytest.raises(BuildError, match="12200 input ids and 12096 output ids"):
        checkpoint.tensors_of(bundle, stage="coarse", dtype="float16")
