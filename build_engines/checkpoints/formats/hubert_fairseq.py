"""HuBERT base as fairseq saved it (`hubert_base_ls960.pt`), read without fairseq.

The pickle also holds fairseq's configuration and dictionaries, as objects of classes that are not loaded here.
Sizes follow from the tensors' shapes; heads and strides, which have none, are looked up in the configuration.
"""

from __future__ import annotations

import re
from pathlib import Path

from bark_serving.spec import HubertSpec
from build_engines.checkpoints.formats.config import validated
from build_engines.checkpoints.formats.pickles import find, load_pickle
from build_engines.checkpoints.formats.tensors import (
    Part,
    Table,
    Tensors,
    as_tensors,
    fold_weight_norm,
    rename,
    shape_of,
)
from build_engines.errors import CheckpointError, naming

TABLE: Table = (
    ("mask_emb", None),  # training only, as the next two
    ("label_embs_concat", None),
    ("final_proj.{p}", None),
    ("feature_extractor.conv_layers.{i}.0.{p}", "feature_extractor.conv_layers.{i}.conv.{p}"),
    ("feature_extractor.conv_layers.{i}.2.{p}", "feature_extractor.conv_layers.{i}.layer_norm.{p}"),
    ("layer_norm.{p}", "feature_projection.layer_norm.{p}"),
    ("post_extract_proj.{p}", "feature_projection.projection.{p}"),
    ("encoder.pos_conv.0.{w}", "encoder.pos_conv_embed.conv.{w}"),
    ("encoder.layer_norm.{p}", "encoder.layer_norm.{p}"),
    ("encoder.layers.{i}.self_attn.{name}.{p}", "encoder.layers.{i}.attention.{name}.{p}"),
    ("encoder.layers.{i}.self_attn_layer_norm.{p}", "encoder.layers.{i}.layer_norm.{p}"),
    ("encoder.layers.{i}.fc1.{p}", "encoder.layers.{i}.feed_forward.intermediate_dense.{p}"),
    ("encoder.layers.{i}.fc2.{p}", "encoder.layers.{i}.feed_forward.output_dense.{p}"),
    ("encoder.layers.{i}.final_layer_norm.{p}", "encoder.layers.{i}.final_layer_norm.{p}"),
)
#: Packages whose classes may be named in the file.
_PACKAGES = ("fairseq", "omegaconf", "argparse", "numpy", "typing", "enum", "pathlib")
#: Types that omegaconf's nodes name as the types of their values.
_TYPES = ("dict", "list", "tuple", "str", "int", "float", "bool", "bytes", "type")
INERT = (
    *_PACKAGES,
    *(f"builtins.{name}" for name in _TYPES),
    "collections.defaultdict",
    "_operator.getitem",  # a type with arguments, such as List[int], is written as getitem(List, int)
    "operator.getitem",
)
ARCHITECTURE = {"layer_norm_first": False, "extractor_mode": "default", "conv_bias": False, "activation_fn": "gelu"}


def read(path: Path, *, feature_layer: int) -> Part[HubertSpec]:
    """HuBERT without its head. Raises `CheckpointError`."""
    with naming(path):
        checkpoint = load_pickle(path, inert=INERT)
        if isinstance(checkpoint, dict) and any(str(name).startswith("lstm.") for name in checkpoint):
            raise CheckpointError(
                "it is a token head, not a HuBERT.",
                remedy="Give it with --hubert-head, and HuBERT (hubert_base_ls960.pt) with --hubert.",
            )
        if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("model"), dict):
            raise CheckpointError("there is no model, expected a checkpoint of fairseq's.")
        state = as_tensors(checkpoint["model"])
        settings = {key: value for key, value in checkpoint.items() if key in ("cfg", "args")}
        for key, expected in ARCHITECTURE.items():
            found = find(settings, key)
            if found is not None and found != expected:
                raise CheckpointError(f"{key} is {found!r}; only {expected!r}, HuBERT base, is supported.")
        tensors = fold_weight_norm(rename(state, TABLE))
        spec = validated(HubertSpec, feature_layer=feature_layer, **_sizes(tensors, settings))
    return Part(spec, tensors, str(path), (path,))


def _sizes(tensors: Tensors, settings: object) -> dict[str, object]:
    convolutions = _count(tensors, r"feature_extractor\.conv_layers\.(\d+)\.conv\.weight")
    shapes = [
        shape_of(tensors, f"feature_extractor.conv_layers.{i}.conv.weight", dimensions=3) for i in range(convolutions)
    ]
    width, part, kernel = shape_of(tensors, "encoder.pos_conv_embed.conv.weight", dimensions=3)
    inner = shape_of(tensors, "encoder.layers.0.feed_forward.intermediate_dense.weight", dimensions=2)
    numbers: dict[str, object] = {
        "layers": _count(tensors, r"encoder\.layers\.(\d+)\.final_layer_norm\.weight"),
        "width": width,
        "intermediate": inner[0],
        "conv_width": tuple(shape[0] for shape in shapes),
        "conv_kernel": tuple(shape[2] for shape in shapes),
        "position_conv_kernel": kernel,
        "position_conv_groups": width // part,
    }
    heads, layout, rate = (
        find(settings, key) for key in ("encoder_attention_heads", "conv_feature_layers", "sample_rate")
    )
    if isinstance(heads, int):
        numbers["heads"] = heads
    if isinstance(rate, int):
        numbers["sample_rate"] = rate
    if isinstance(layout, str):
        numbers["conv_stride"] = strides(layout)
    return numbers


def _count(tensors: Tensors, pattern: str) -> int:
    return sum(bool(re.fullmatch(pattern, name)) for name in tensors)


def strides(layout: str) -> tuple[int, ...]:
    """Strides of fairseq's notation, `[(512,10,5)] + [(512,3,2)] * 4 + [(512,2,2)] * 2`, without evaluating it."""
    found: list[int] = []
    for term in layout.replace(" ", "").split("+"):
        match = re.fullmatch(r"\[((?:\(\d+,\d+,\d+\),?)+)\](?:\*(\d+))?", term)
        if not match:
            raise CheckpointError(f"conv_feature_layers {layout!r} is not of the form [(width,kernel,stride)].")
        found += [int(stride) for stride in re.findall(r",(\d+)\)", match[1])] * int(match[2] or 1)
    return tuple(found)
