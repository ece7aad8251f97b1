"""Encodec in transformers' format: alone (`facebook/encodec_24khz`) or as the `codec_model.` of a Bark checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

from bark_serving.spec import EncodecSpec
from build_engines.checkpoints.formats.config import pick, require_equal, validated
from build_engines.checkpoints.formats.tensors import Table, Tensors, fold_weight_norm, rename, stack

TABLE: Table = (
    ("{side}.{rest}.parametrizations.weight.original0", "{side}.{rest}.weight_g"),
    ("{side}.{rest}.parametrizations.weight.original1", "{side}.{rest}.weight_v"),
    ("{side}.layers.{rest}", "{side}.layers.{rest}"),
    ("quantizer.layers.{i}.codebook.embed", "codebooks.{i}"),
    ("quantizer.layers.{i}.codebook.{name}", None),  # k-means statistics of its training
)
NUMBERS = {
    "sampling_rate": "sample_rate",
    "codebook_size": "codebook_size",
    "hidden_size": "dimension",
    "num_filters": "filters",
    "upsampling_ratios": "ratios",
    "kernel_size": "kernel",
    "last_kernel_size": "last_kernel",
    "residual_kernel_size": "residual_kernel",
    "num_residual_layers": "residual_layers",
    "dilation_growth_rate": "dilation_growth",
    "compress": "compress",
    "num_lstm_layers": "lstm_layers",
}
ARCHITECTURE = {
    "audio_channels": 1,
    "use_causal_conv": True,
    "norm_type": "weight_norm",
    "normalize": False,
    "pad_mode": "reflect",
    "trim_right_ratio": 1.0,
    "use_conv_shortcut": True,
    "chunk_length_s": None,
}


def read_spec(config: Mapping[str, object], *, codebooks: int) -> EncodecSpec:
    """Sizes and rates of Encodec's first `codebooks` codebooks, from `EncodecConfig`. Raises `CheckpointError`."""
    require_equal(config, ARCHITECTURE)
    return validated(EncodecSpec, codebooks=codebooks, **pick(config, NUMBERS))


def read_tensors(tensors: Tensors, *, codebooks: int) -> Tensors:
    """A state dict under our names, with the first `codebooks` codebooks. Raises `CheckpointError`."""
    folded = fold_weight_norm(rename(tensors, TABLE))
    return stack(folded, "codebooks", into="quantizer.codebooks", count=codebooks)
