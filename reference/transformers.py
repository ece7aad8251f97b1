"""Hugging Face's implementations of Bark's networks on a bundle's weights: an oracle for tests, a peer for benchmarks.

Each function takes a network's weights under our names and returns transformers' model in eval mode, in fp32, on
torch's default device.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from torch import Tensor

from bark_serving.arrays import Floats
from bark_serving.bundle import Bundle
from bark_serving.spec import GptSpec, Spec
from reference.suno import FINE_TABLES, fine_heads

TIE = 2e-4  #: two candidates are equal in fp32 when they differ by less than this share of the better one

_GPT_NAMES = {
    r"^token_embedding\.": "input_embeds_layer.",
    r"^position_embedding\.": "position_embeds_layer.",
    r"\.attention_norm\.": ".layernorm_1.",
    r"\.attention\.qkv\.": ".attn.att_proj.",
    r"\.attention\.out\.": ".attn.out_proj.",
    r"\.mlp_norm\.": ".layernorm_2.",
    r"\.mlp\.up\.": ".mlp.in_proj.",
    r"\.mlp\.down\.": ".mlp.out_proj.",
    r"^norm\.": "layernorm_final.",
    r"^head\.": "lm_head.",
}


def gpt(stage: Literal["semantic", "coarse"], weights: dict[str, Tensor], spec: GptSpec) -> Any:
    """BarkSemanticModel or BarkCoarseModel."""
    import transformers

    name = stage.capitalize()
    config = getattr(transformers, f"Bark{name}Config")(**_sizes(spec))
    model = getattr(transformers, f"Bark{name}Model")(config)
    return _filled(model, {_renamed(key): tensor for key, tensor in weights.items()})


def fine(weights: dict[str, Tensor], spec: Spec) -> Any:
    """BarkFineModel."""
    from transformers import BarkFineConfig, BarkFineModel

    codebooks, given = spec.encodec.codebooks, spec.fine.codebooks_given
    state = {_renamed(key): tensor for key, tensor in weights.items() if key not in FINE_TABLES}
    state |= {f"input_embeds_layers.{k}.weight": table for k, table in enumerate(weights["token_embedding.weight"])}
    state |= {f"lm_heads.{k}.weight": head for k, head in enumerate(fine_heads(weights, spec))}
    config = BarkFineConfig(
        **_sizes(spec.fine.gpt),
        n_codes_total=codebooks,
        n_codes_given=given,
        tie_word_embeddings=spec.fine.tied_heads,
    )
    return _filled(BarkFineModel(config), state)


def encodec(weights: dict[str, Tensor], spec: Spec) -> Any:
    """EncodecModel. It has more codebooks than Bark uses; those keep their initial values."""
    from transformers import EncodecConfig, EncodecModel

    sizes = spec.encodec
    config = EncodecConfig(hidden_size=sizes.dimension, codebook_dim=sizes.dimension, num_filters=sizes.filters)
    model: Any = EncodecModel(config)
    for module in model.modules():
        if hasattr(module, "parametrizations"):
            torch.nn.utils.parametrize.remove_parametrizations(module, "weight")
    state = {key: tensor for key, tensor in weights.items() if key != "quantizer.codebooks"}
    for k, codebook in enumerate(weights["quantizer.codebooks"]):
        state[f"quantizer.layers.{k}.codebook.embed"] = codebook
    return _filled(model, state)


def hubert(spec: Spec, weights: dict[str, Tensor], *, layers: int | None = None) -> Any:
    """HubertModel, without the token head. `layers`: build only the first ``layers``."""
    from transformers import HubertConfig, HubertModel

    sizes = spec.hubert
    assert sizes is not None
    count = layers or sizes.layers
    config = HubertConfig(
        hidden_size=sizes.width,
        num_hidden_layers=count,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.intermediate,
        conv_dim=sizes.conv_width,
        conv_kernel=sizes.conv_kernel,
        conv_stride=sizes.conv_stride,
        num_conv_pos_embeddings=sizes.position_conv_kernel,
        num_conv_pos_embedding_groups=sizes.position_conv_groups,
    )
    model: Any = HubertModel(config)
    torch.nn.utils.parametrize.remove_parametrizations(model.encoder.pos_conv_embed.conv, "weight")
    kept = {key: tensor for key, tensor in weights.items() if not key.startswith("head.") and _layer(key) < count}
    return _filled(model, kept)


def token_head(spec: Spec, weights: dict[str, Tensor]) -> Callable[[Tensor], Tensor]:
    """The published token head, built of torch's own layers: features [B, T, width] → scores [B, T, vocabulary]."""
    assert spec.hubert is not None
    head, device = spec.hubert.head, torch.get_default_device()
    lstm = torch.nn.LSTM(head.input_width, head.hidden, head.layers, batch_first=True)
    prefix = "head.lstm."
    lstm.load_state_dict({key.removeprefix(prefix): w for key, w in weights.items() if key.startswith(prefix)})
    linear = {key: w.to(device) for key, w in weights.items() if key.startswith("head.") and prefix not in key}

    def scores(features: Tensor) -> Tensor:
        x: Tensor = lstm(features)[0]
        if head.version == 1:
            x = x @ linear["head.intermediate.weight"].T + linear["head.intermediate.bias"]
        return x @ linear["head.out.weight"].T + linear["head.out.bias"]

    return scores


def _renamed(name: str) -> str:
    for pattern, replacement in _GPT_NAMES.items():
        name = re.sub(pattern, replacement, name)
    return name


def _layer(name: str) -> int:
    """Number of the transformer layer that a tensor of HuBERT belongs to; −1 for none."""
    prefix = "encoder.layers."
    return int(name.removeprefix(prefix).split(".")[0]) if name.startswith(prefix) else -1


def _sizes(spec: GptSpec) -> dict[str, Any]:
    return {
        "block_size": spec.block_size,
        "input_vocab_size": spec.input_vocab,
        "output_vocab_size": spec.output_vocab,
        "num_layers": spec.layers,
        "num_heads": spec.heads,
        "hidden_size": spec.width,
        "bias": spec.bias,
    }


def _filled(model: Any, state: dict[str, Tensor]) -> Any:
    """Load exactly these parameters into the model; its buffers (masks) stay. Raises `ValueError` if names differ."""
    result = model.load_state_dict(state, strict=False)
    parameters = {name for name, _ in model.named_parameters()}
    missing = parameters.intersection(result.missing_keys) - {"masked_spec_embed"}
    if missing or result.unexpected_keys:
        raise ValueError(f"transformers' names have changed: {sorted(missing)}, {result.unexpected_keys}")
    return model.to(torch.get_default_device()).eval()


class CloningOracle:
    """Checks a bundle's semantic tokens and codes of audio against transformers.

    Both are an argmax. If two candidates differ only by rounding, another machine may choose the other one. Only such
    differences are allowed.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._spec = bundle.spec
        hubert_weights = load_file(bundle.weights("hubert"))
        self._hubert, self._head = hubert(bundle.spec, hubert_weights), token_head(bundle.spec, hubert_weights)
        self._encodec_weights = load_file(bundle.weights("encodec"))
        self._encodec = encodec(self._encodec_weights, bundle.spec)

    @torch.inference_mode()
    def assert_tokens(self, tokens: npt.ArrayLike, *, audio: Floats) -> None:
        """Assert that these are the tokens [B, T] of 16 kHz audio [B, N]."""
        ours = torch.from_numpy(np.array(tokens)).long()
        assert self._spec.hubert is not None
        states = self._hubert(torch.from_numpy(audio), output_hidden_states=True).hidden_states
        scores = self._head(states[self._spec.hubert.feature_layer])
        best, expected = scores.max(-1)
        assert ours.shape == expected.shape
        shortfall = best - scores.gather(-1, ours[..., None])[..., 0]
        assert (shortfall <= TIE * best.abs()).all(), f"{int((ours != expected).sum())} of {ours.numel()} tokens differ"
        assert (ours != expected).sum() <= 1 + ours.numel() // 500, "more differences than ties can explain"

    @torch.inference_mode()
    def assert_codes(self, codes: npt.ArrayLike, *, audio: Floats) -> None:
        """Assert that these are the codes [B, codebooks, T] of 24 kHz audio [B, N]."""
        ours = torch.from_numpy(np.array(codes)).long()
        wave = torch.from_numpy(audio)[:, None]
        expected = self._encodec.encode(wave, bandwidth=6.0).audio_codes[0]
        assert ours.shape == expected.shape
        residual = self._encodec.encoder(wave).transpose(1, 2)  # [B, T, dimension]
        same = torch.ones(ours[:, 0].shape, dtype=torch.bool)  # frames that agree in all codebooks so far
        for k, codebook in enumerate(self._encodec_weights["quantizer.codebooks"]):
            distance, best = (((residual - codebook[choice[:, k]]) ** 2).sum(-1) for choice in (ours, expected))
            assert (distance - best <= TIE * best)[same].all(), f"codebook {k} differs beyond rounding"
            same &= ours[:, k] == expected[:, k]
            residual = residual - codebook[expected[:, k]]
        assert (~same).sum() <= 1 + same.numel() // 500, "more differences than ties can explain"
