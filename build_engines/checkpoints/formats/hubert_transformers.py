"""HuBERT base in transformers' format (`facebook/hubert-base-ls960`)."""

from __future__ import annotations

from collections.abc import Mapping

from bark_serving.spec import HubertSpec
from build_engines.checkpoints.formats.config import pick, require_equal, validated
from build_engines.checkpoints.formats.tensors import Table, Tensors, fold_weight_norm, rename, strip_prefix

TABLE: Table = (
    ("masked_spec_embed", None),  # training only
    ("lm_head.{p}", None),  # of a recogniser made from it
    ("{rest}.parametrizations.weight.original0", "{rest}.weight_g"),
    ("{rest}.parametrizations.weight.original1", "{rest}.weight_v"),
    ("feature_extractor.{rest}", "feature_extractor.{rest}"),
    ("feature_projection.{rest}", "feature_projection.{rest}"),
    ("encoder.{rest}", "encoder.{rest}"),
)
NUMBERS = {
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
    "hidden_size": "width",
    "intermediate_size": "intermediate",
    "conv_dim": "conv_width",
    "conv_kernel": "conv_kernel",
    "conv_stride": "conv_stride",
    "num_conv_pos_embeddings": "position_conv_kernel",
    "num_conv_pos_embedding_groups": "position_conv_groups",
}
ARCHITECTURE = {
    "model_type": "hubert",
    "feat_extract_norm": "group",
    "feat_extract_activation": "gelu",
    "do_stable_layer_norm": False,
    "conv_bias": False,
    "feat_proj_layer_norm": True,
    "conv_pos_batch_norm": False,
    "hidden_act": "gelu",
}


def read_spec(config: Mapping[str, object], *, feature_layer: int, sample_rate: object = None) -> HubertSpec:
    """Sizes of HuBERT without its head, from `HubertConfig`. Raises `CheckpointError`."""
    require_equal(config, ARCHITECTURE)
    numbers = {**pick(config, NUMBERS), **pick({"rate": sample_rate}, {"rate": "sample_rate"})}
    return validated(HubertSpec, feature_layer=feature_layer, **numbers)


def read_tensors(tensors: Tensors) -> Tensors:
    """A state dict under our names. Raises `CheckpointError`."""
    return fold_weight_norm(rename(strip_prefix(tensors, "hubert."), TABLE))
