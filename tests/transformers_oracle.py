"""transformers' HubertModel and EncodecModel on the weights of our bundles: the second oracle, of voice cloning."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from torch import Tensor

from bark_serving.arrays import Floats
from bark_serving.bundle import Bundle
from bark_serving.spec import Spec

TIE = 2e-4  #: candidates closer than that, relative to the better one, are equal to fp32


def hubert(spec: Spec, weights: dict[str, Tensor]) -> Any:
    """HubertModel with these weights (our names, the token head's left out)."""
    from transformers import HubertConfig, HubertModel

    sizes = spec.hubert
    assert sizes is not None
    config = HubertConfig(
        hidden_size=sizes.width,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.intermediate,
        conv_dim=sizes.conv_width,
        conv_kernel=sizes.conv_kernel,
        conv_stride=sizes.conv_stride,
        num_conv_pos_embeddings=sizes.position_conv_kernel,
        num_conv_pos_embedding_groups=sizes.position_conv_groups,
    )
    model: Any = HubertModel(config).eval()
    torch.nn.utils.parametrize.remove_parametrizations(model.encoder.pos_conv_embed.conv, "weight")
    result = model.load_state_dict({k: v for k, v in weights.items() if not k.startswith("head.")}, strict=False)
    assert result.missing_keys in ([], ["masked_spec_embed"])
    assert not result.unexpected_keys
    return model


def encodec(spec: Spec, weights: dict[str, Tensor]) -> Any:
    """EncodecModel with these weights (our names); it has more codebooks than Bark uses."""
    from transformers import EncodecConfig, EncodecModel

    sizes = spec.encodec
    model: Any = EncodecModel(EncodecConfig(hidden_size=sizes.dimension, num_filters=sizes.filters)).eval()
    for module in model.modules():
        if hasattr(module, "parametrizations"):
            torch.nn.utils.parametrize.remove_parametrizations(module, "weight")
    state = {k: v for k, v in weights.items() if k != "quantizer.codebooks"}
    for k, codebook in enumerate(weights["quantizer.codebooks"]):
        state[f"quantizer.layers.{k}.codebook.embed"] = codebook
    missing = model.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys
    assert all("quantizer" in name for name in missing.missing_keys)
    return model


def token_scores(spec: Spec, weights: dict[str, Tensor], features: Tensor) -> Tensor:
    """The published token head out of torch's own parts: features [B, T, width] → scores [B, T, vocabulary]."""
    assert spec.hubert is not None
    head = spec.hubert.head
    reference = torch.nn.LSTM(head.input_width, head.hidden, head.layers, batch_first=True)
    prefix = "head.lstm."
    reference.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)})
    x = reference(features)[0]
    if head.version == 1:
        x = x @ weights["head.intermediate.weight"].T + weights["head.intermediate.bias"]
    return x @ weights["head.out.weight"].T + weights["head.out.bias"]


class CloningOracle:
    """A bundle's semantic tokens and codes of audio, by transformers.

    Both end in an argmax, and candidates that are equal but for rounding may fall either way on another machine: an
    answer may differ there, and only there.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._spec = bundle.spec
        self._hubert_weights = load_file(bundle.weights("hubert"))
        self._hubert = hubert(bundle.spec, self._hubert_weights)
        self._encodec_weights = load_file(bundle.weights("encodec"))
        self._encodec = encodec(bundle.spec, self._encodec_weights)

    @torch.inference_mode()
    def assert_tokens(self, tokens: npt.ArrayLike, *, audio: Floats) -> None:
        """That these tokens [B, T] are those of 16 kHz audio [B, N]."""
        ours = torch.from_numpy(np.array(tokens)).long()
        assert self._spec.hubert is not None
        states = self._hubert(torch.from_numpy(audio), output_hidden_states=True).hidden_states
        scores = token_scores(self._spec, self._hubert_weights, states[self._spec.hubert.feature_layer])
        best, expected = scores.max(-1)
        assert ours.shape == expected.shape
        shortfall = best - scores.gather(-1, ours[..., None])[..., 0]
        assert (shortfall <= TIE * best.abs()).all(), f"{int((ours != expected).sum())} of {ours.numel()} tokens differ"
        assert (ours != expected).sum() <= 1 + ours.numel() // 500, "more ties than there can be"

    @torch.inference_mode()
    def assert_codes(self, codes: npt.ArrayLike, *, audio: Floats) -> None:
        """That these codes [B, codebooks, T] are those of 24 kHz audio [B, N]."""
        ours = torch.from_numpy(np.array(codes)).long()
        wave = torch.from_numpy(audio)[:, None]
        expected = self._encodec.encode(wave, bandwidth=6.0).audio_codes[0]
        assert ours.shape == expected.shape
        residual = self._encodec.encoder(wave).transpose(1, 2)  # [B, T, dimension]
        same = torch.ones(ours[:, 0].shape, dtype=torch.bool)  # frames that agree so far; the rest goes its own way
        for k, codebook in enumerate(self._encodec_weights["quantizer.codebooks"]):
            distance, best = (((residual - codebook[choice[:, k]]) ** 2).sum(-1) for choice in (ours, expected))
            assert (distance - best <= TIE * best)[same].all(), f"codebook {k} differs beyond rounding"
            same &= ours[:, k] == expected[:, k]
            residual = residual - codebook[expected[:, k]]
        assert (~same).sum() <= 1 + same.numel() // 500, "more ties than there can be"
