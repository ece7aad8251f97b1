"""Encodec in transformers' format: alone (`facebook/encodec_24khz`) or as the `codec_model.` of a Bark checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bark_serving.spec import EncodecSpec
from build_engines.checkpoints.formats.config import demand, made, taken
from build_engines.checkpoints.formats.tensors import Part, Table, Tensors, fold_weight_norm, rename, stack

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


def read(
    tensors: Tensors, config: Mapping[str, object], *, codebooks: int, source: str, files: tuple[Path, ...]
) -> Part[EncodecSpec]:
    """Encodec with its first `codebooks` codebooks, from a state dict and `EncodecConfig`. Raises `CheckpointError`."""
    demand(config, ARCHITECTURE, source=f"{source}: codec_config")
    spec = made(EncodecSpec, source=f"{source}: codec_config", codebooks=codebooks, **taken(config, NUMBERS))
    ours = fold_weight_norm(rename(tensors, TABLE, source=source), source=source)
    ours = stack(ours, "codebooks", into="quantizer.codebooks", count=codebooks, source=source)
    return Part(spec, ours, source, files)
