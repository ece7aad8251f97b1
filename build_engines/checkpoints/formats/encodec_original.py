"""Encodec as its authors publish it: `encodec_24khz-d7cc33bc.th`, a state dict with weight norm.

The file holds no numbers; sizes follow from the tensors' shapes, the sample rate from the file's name.
"""

from __future__ import annotations

import re
from pathlib import Path

from bark_serving.spec import EncodecSpec
from build_engines.checkpoints.formats.config import validated
from build_engines.checkpoints.formats.pickles import load_pickle
from build_engines.checkpoints.formats.tensors import (
    Part,
    Table,
    Tensors,
    as_tensors,
    fold_weight_norm,
    rename,
    shape_of,
    stack,
)
from build_engines.errors import naming

TABLE: Table = (
    ("{side}.model.{i}.conv.conv.{w}", "{side}.layers.{i}.conv.{w}"),
    ("{side}.model.{i}.convtr.convtr.{w}", "{side}.layers.{i}.conv.{w}"),
    ("{side}.model.{i}.block.{j}.conv.conv.{w}", "{side}.layers.{i}.block.{j}.conv.{w}"),
    ("{side}.model.{i}.shortcut.conv.conv.{w}", "{side}.layers.{i}.shortcut.conv.{w}"),
    ("{side}.model.{i}.lstm.{name}", "{side}.layers.{i}.lstm.{name}"),
    ("quantizer.vq.layers.{i}._codebook.embed", "codebooks.{i}"),
    ("quantizer.vq.layers.{i}._codebook.{name}", None),  # k-means statistics of its training
)


def read(path: Path, *, codebooks: int) -> Part[EncodecSpec]:
    """Encodec with its first `codebooks` codebooks. Raises `CheckpointError`."""
    with naming(path):
        tensors = fold_weight_norm(rename(as_tensors(load_pickle(path)), TABLE))
        tensors = stack(tensors, "codebooks", into="quantizer.codebooks", count=codebooks)
        spec = validated(EncodecSpec, codebooks=codebooks, **_sizes(tensors, path.name))
    return Part(spec, tensors, str(path), (path,))


def _sizes(tensors: Tensors, file_name: str) -> dict[str, object]:
    first = shape_of(tensors, "encoder.layers.0.conv.weight", dimensions=3)  # [filters, 1, kernel]
    # the decoder's convolutions: the first, a transposed one per ratio with a kernel of twice the ratio, the last
    layers = sorted(
        int(match[1]) for name in tensors if (match := re.fullmatch(r"decoder\.layers\.(\d+)\.conv\.weight", name))
    )
    shapes = [shape_of(tensors, f"decoder.layers.{i}.conv.weight", dimensions=3) for i in layers]
    block = shape_of(tensors, "encoder.layers.1.block.1.conv.weight", dimensions=3)
    codes = shape_of(tensors, "quantizer.codebooks", dimensions=3)
    residual = {name.split(".")[2] for name in tensors if re.match(r"encoder\.layers\.\d+\.block\.1\.", name)}
    ratios = tuple(shape[2] // 2 for shape in shapes[1:-1])
    rate = re.search(r"(\d+)khz", file_name.lower())
    return {
        **({"sample_rate": int(rate[1]) * 1000} if rate else {}),
        "filters": first[0],
        "kernel": first[2],
        "last_kernel": shapes[-1][2],
        "ratios": ratios,
        "residual_kernel": block[2],
        "residual_layers": len(residual) // max(1, len(ratios)),
        "compress": first[0] // max(1, block[0]),
        "codebook_size": codes[1],
        "dimension": codes[2],
        "lstm_layers": sum(bool(re.fullmatch(r"encoder\.layers\.\d+\.lstm\.weight_ih_l\d+", name)) for name in tensors),
    }
