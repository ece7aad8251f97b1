"""Small random checkpoints in all supported formats, written by the code that defines each format."""

from __future__ import annotations

import argparse
import enum
import json
import sys
import zipfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from reference import suno as oracle

LAYERS, HEADS, WIDTH = 2, 2, 32
SIZES = {"n_layer": LAYERS, "n_head": HEADS, "n_embd": WIDTH, "block_size": 1024, "dropout": 0.0}
SEMANTIC = {"input_vocab_size": 129_600, "output_vocab_size": 10_048}
COARSE = {"input_vocab_size": 12_096, "output_vocab_size": 12_096}
FINE = {"input_vocab_size": 1_056, "output_vocab_size": 1_056}


def randomise(module: nn.Module, *, seed: int = 0) -> nn.Module:
    """Give every parameter and codebook new random values, so that no two tensors are equal and none is zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.named_parameters():
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.1 + (1.0 if "norm" in name else 0.0))
        for name, tensor in module.named_buffers():
            if name.endswith("embed"):
                tensor.copy_(torch.randn(tensor.shape, generator=generator))
    return module.eval()


def save_suno(
    path: Path,
    *,
    fine: bool = False,
    seed: int = 0,
    prefix: str = "",
    old: bool = False,
    bias: bool = False,
    **vocab: int,
) -> nn.Module:
    """Write one of Suno's .pt files; `old` is the first generation of `model_args`. Returns the network."""
    generation: Any = oracle.bark_generation()
    numbers: dict[str, Any] = {**SIZES, "bias": bias, **vocab}
    if fine:
        numbers |= {"n_codes_total": 8, "n_codes_given": 1}
        model = generation.FineGPT(generation.FineGPTConfig(**numbers))
    else:
        model = generation.GPT(generation.GPTConfig(**numbers))
    randomise(model, seed=seed)
    state = {prefix + name: tensor for name, tensor in model.state_dict().items()}
    if not fine:  # files written before flash attention hold the causal masks
        state[f"{prefix}transformer.h.0.attn.bias"] = torch.ones(1, 1, 8, 8)
    arguments = dict(numbers)
    if old:
        arguments["vocab_size"] = arguments.pop("input_vocab_size")
        del arguments["output_vocab_size"]
    torch.save({"model_args": arguments, "model": state, "best_val_loss": np.float64(2.5), "iter_num": 7}, path)
    return model


def save_encodec(path: Path, *, seed: int = 3) -> nn.Module:
    """Write Encodec as its authors do: weight-normed, 32 codebooks, names of the encodec package."""
    oracle.bark_generation()
    from encodec import EncodecModel
    from encodec.modules import SEANetDecoder, SEANetEncoder
    from encodec.quantization import ResidualVectorQuantizer

    options = {"dimension": 16, "n_filters": 4, "ratios": [8, 5, 4, 2], "norm": "weight_norm", "causal": True}
    quantizer = ResidualVectorQuantizer(dimension=16, n_q=32, bins=1024)
    model = EncodecModel(SEANetEncoder(**options), SEANetDecoder(**options), quantizer, [6.0], 24_000, 1, name="test")
    randomise(model, seed=seed)
    torch.save(model.state_dict(), path)
    return model


def save_suno_folder(folder: Path, **options: Any) -> dict[str, nn.Module]:
    """The four files of a large checkpoint of Suno's. Returns the networks."""
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "semantic": save_suno(folder / "text_2.pt", seed=0, **SEMANTIC, **options),
        "coarse": save_suno(folder / "coarse_2.pt", seed=1, **COARSE, **options),
        "fine": save_suno(folder / "fine_2.pt", seed=2, fine=True, **FINE, **options),
        "encodec": save_encodec(folder / "encodec_24khz-test.th"),
    }


def encodec_config() -> Any:
    from transformers import EncodecConfig

    return EncodecConfig(num_filters=4, hidden_size=16, codebook_dim=16)


def bark_model(*, bias: bool = False) -> Any:
    """transformers' BarkModel, tiny."""
    from transformers import BarkConfig, BarkModel

    sizes = {"num_layers": LAYERS, "num_heads": HEADS, "hidden_size": WIDTH, "block_size": 1024, "bias": bias}
    config = BarkConfig(
        semantic_config={**sizes, **SEMANTIC},
        coarse_acoustics_config={**sizes, **COARSE},
        fine_acoustics_config={**sizes, **FINE},
        codec_config=encodec_config().to_dict(),
    )
    return randomise(BarkModel(config))


def save_bark(folder: Path, model: Any) -> None:
    """Write a BarkModel with generation settings that differ from all defaults."""
    from transformers.models.bark import generation_configuration_bark as generation

    settings = generation.BarkGenerationConfig.from_sub_model_configs(
        generation.BarkSemanticGenerationConfig(
            do_sample=True, temperature=0.65, min_eos_p=0.15, max_new_tokens=700, text_pad_token=129_597
        ),
        generation.BarkCoarseGenerationConfig(do_sample=True, max_coarse_history=600, sliding_window_len=40),
        generation.BarkFineGenerationConfig(temperature=0.45),
    )
    # transformers 5.23 cannot save a BarkGenerationConfig; a model that does not generate is saved without one
    with mock.patch.object(type(model), "can_generate", return_value=False):
        model.save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps(settings.to_dict()))


def hubert_model(*, seed: int = 5) -> Any:
    """transformers' HubertModel, tiny, weight-normed."""
    from transformers import HubertConfig, HubertModel

    config = HubertConfig(
        hidden_size=WIDTH,
        num_hidden_layers=3,
        num_attention_heads=HEADS,
        intermediate_size=64,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        attn_implementation="eager",
    )
    return randomise(HubertModel(config), seed=seed)


def fairseq_state(model: Any) -> dict[str, Tensor]:
    """fairseq's names for the tensors of transformers' HubertModel, and the tensors only fairseq has."""
    names = {
        ".parametrizations.weight.original0": ".weight_g",
        ".parametrizations.weight.original1": ".weight_v",
        "encoder.pos_conv_embed.conv": "encoder.pos_conv.0",
        "feature_projection.projection": "post_extract_proj",
        "feature_projection.layer_norm": "layer_norm",
        ".feed_forward.intermediate_dense": ".fc1",
        ".feed_forward.output_dense": ".fc2",
        "masked_spec_embed": "mask_emb",
    }
    state: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        if name.startswith("encoder.layers."):
            name = name.replace(".attention.", ".self_attn.")
            name = name.replace(".layer_norm.", ".self_attn_layer_norm.")
        if name.startswith("feature_extractor."):
            name = name.replace(".layer_norm.", ".2.").replace(".conv.", ".0.")
        state[name] = tensor
    return {**state, "final_proj.weight": torch.ones(4, WIDTH), "label_embs_concat": torch.ones(504, 4)}


class _Activation(enum.Enum):
    gelu = "gelu"


@dataclass
class _FairseqConfig:
    """Fields of the kinds that fairseq's configuration has."""

    model: dict[str, Any] = field(default_factory=lambda: {"mask_prob": 0.8})
    task: dict[str, int] = field(default_factory=lambda: {"sample_rate": 16_000})
    activation_fn: _Activation = _Activation.gelu
    update_freq: list[int] = field(default_factory=lambda: [1])
    folder: Path | None = None
    cached: Any = None


def save_fairseq(path: Path, *, model: Any, modern: bool) -> None:
    """Write HuBERT as fairseq does: settings in an argparse.Namespace (early) or in omegaconf nodes, and a Dictionary.

    fairseq's class is created here, and no longer exists when the file is read. omegaconf's classes are the real ones.
    """
    settings = {
        "encoder_attention_heads": HEADS,
        "conv_feature_layers": "[(512,10,5)] + [(512,3,2)] * 4 + [(512,2,2)] * 2",
        "layer_norm_first": False,
        "extractor_mode": "default",
    }
    package = ModuleType("fairseq.data.dictionary")
    dictionary = type("Dictionary", (), {"__module__": package.__name__})
    package.Dictionary = dictionary  # type: ignore[attr-defined]
    words = dictionary()
    words.symbols = ["<s>", "a"]
    checkpoint: dict[str, Any] = {"model": fairseq_state(model), "task_state": {"dictionaries": [words]}}
    if modern:
        checkpoint |= {"args": None, "cfg": _omegaconf(settings)}
    else:
        checkpoint["args"] = argparse.Namespace(**settings)
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(sys.modules, {"fairseq": ModuleType("fairseq"), package.__name__: package}))
        for its in (_Activation, _FairseqConfig):  # the file names them as fairseq's
            setattr(package, its.__name__, its)
            stack.enter_context(mock.patch.object(its, "__module__", package.__name__))
        torch.save(checkpoint, path, _use_new_zipfile_serialization=modern)


def _omegaconf(settings: dict[str, Any]) -> Any:
    """A configuration as fairseq saves it: typed sections, an enum, and an interpolation whose value is cached."""
    from omegaconf import OmegaConf

    config = OmegaConf.structured(_FairseqConfig)
    config.model = {**config.model, **settings}
    OmegaConf.register_new_resolver("bark_triton_test", lambda value: value, use_cache=True, replace=True)
    config.cached = "${bark_triton_test:3}"
    assert config.cached == 3
    return config


def save_token_head(path: Path, *, version: int, info: str | None = None) -> dict[str, Tensor]:
    """Write a token head as the voice cloning project does; `info` becomes the record it appends to the zip."""
    hidden, wide = 24, 40
    modules = nn.ModuleDict({"lstm": nn.LSTM(WIDTH, hidden, 2, batch_first=True)})
    if version == 1:
        modules["intermediate"] = nn.Linear(hidden, wide)
    modules["fc"] = nn.Linear(wide if version == 1 else hidden, 10_000)
    state = randomise(modules, seed=9).state_dict()
    torch.save(state, path)
    if info is not None:
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(f"{path.stem}/.info", info)
    return state


def voice() -> dict[str, np.ndarray[Any, Any]]:
    """The three arrays of a speaker prompt: 50 semantic tokens, 75 frames."""
    generator = np.random.default_rng(0)
    fine = generator.integers(0, 1024, (8, 75))
    return {
        "semantic_prompt": generator.integers(0, 10_000, 50),
        "coarse_prompt": fine[:2],
        "fine_prompt": fine.astype(np.int32),
    }


def save_npy_voice(folder: Path, name: str) -> None:
    """Write `voice` as the transformers repositories hold it: three .npy files."""
    folder.mkdir(parents=True)
    for array, values in voice().items():
        np.save(folder / f"{name}_{array}.npy", values)
