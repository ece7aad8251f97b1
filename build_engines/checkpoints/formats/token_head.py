"""The heads that turn HuBERT's features into Bark's semantic tokens, as the voice cloning project publishes them.

`quantifier_hubert_base_ls960_14.pth` (version 0) and `quantifier_V1_hubert_base_ls960_23.pth` (version 1, with a
wide linear layer) are state dicts. Newer ones carry a record `…/.info` inside the zip file: JSON with the sizes and
the version. Sizes are read from the tensors and must agree with it.
"""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

from bark_serving.spec import TokenHeadSpec
from build_engines.checkpoints.formats import hubert_fairseq
from build_engines.checkpoints.formats.config import validated
from build_engines.checkpoints.formats.pickles import load_pickle
from build_engines.checkpoints.formats.tensors import Part, Table, Tensors, as_tensors, rename, shape_of
from build_engines.errors import CheckpointError, naming

TABLE: Table = (
    ("lstm.{name}", "head.lstm.{name}"),
    ("intermediate.{p}", "head.intermediate.{p}"),
    ("fc.{p}", "head.out.{p}"),
)
#: their name of a size in `.info` → ours
INFO = {"input_size": "input_width", "hidden_size": "hidden", "output_size": "output_vocab", "version": "version"}
#: Names of the layer in `.info`. The published heads name none. `output_layer` is what fairseq and their project say.
LAYER_INFO = ("output_layer", "feature_layer", "hubert_layer", "layer")
#: The layer of HuBERT that every published head was trained on: `output_layer=9` in the
#: `bark-voice-cloning-HuBERT-quantizer` project, through all its history.
PUBLISHED_LAYER = 9


def read(path: Path) -> Part[TokenHeadSpec]:
    """A token head. Raises `CheckpointError`."""
    with naming(path):
        state = load_pickle(path, inert=hubert_fairseq.INERT)
        if isinstance(state, dict) and "model" in state:
            raise CheckpointError(
                "it is a HuBERT, not a token head.",
                remedy="Give it with --hubert, and the head (quantifier_….pth) with --hubert-head.",
            )
        tensors = rename(as_tensors(state), TABLE)
        sizes, info = _sizes(tensors), _info(path)
        for key, ours in INFO.items():
            if info.get(key, sizes[ours]) != sizes[ours]:
                raise CheckpointError(
                    f"its .info says {key} {info[key]}, its tensors say {sizes[ours]}.", remedy="Fetch the file again."
                )
        spec = validated(TokenHeadSpec, **sizes)
    return Part(spec, tensors, str(path), (path,))


def feature_layer(path: Path, *, given: int | None) -> int:
    """The layer of HuBERT (1 is the first) that a head reads: the given one, else the file's, else `PUBLISHED_LAYER`.

    Raises `CheckpointError` if the file names another layer than the given one.
    """
    with naming(path):
        info = _info(path)
        named = next((info[key] for key in LAYER_INFO if key in info), None)
        if named is None:
            return PUBLISHED_LAYER if given is None else given
        if isinstance(named, bool) or not isinstance(named, int):
            raise CheckpointError(f"its .info names the layer {named!r}, not a number.", remedy="Fetch the file again.")
        if given not in (None, named):
            raise CheckpointError(
                f"its .info says that it was trained on layer {named} of HuBERT; layer {given} was asked for.",
                remedy=f"Leave --hubert-layer out, or give --hubert-layer {named}.",
            )
        return named


def _sizes(tensors: Tensors) -> dict[str, object]:
    gates, width = shape_of(tensors, "head.lstm.weight_ih_l0", dimensions=2)  # [4 × hidden, input]
    vocab, last = shape_of(tensors, "head.out.weight", dimensions=2)
    wide = "head.intermediate.weight" in tensors
    return {
        "version": int(wide),
        "input_width": width,
        "hidden": gates // 4,
        "layers": sum(bool(re.fullmatch(r"head\.lstm\.weight_ih_l\d+", name)) for name in tensors),
        "output_vocab": vocab,
        **({"intermediate": last} if wide else {}),
    }


def _info(path: Path) -> dict[str, object]:
    """The `.info` record of a head saved with one, else nothing."""
    if not zipfile.is_zipfile(path):
        return {}
    with zipfile.ZipFile(path) as archive:
        records = [name for name in archive.namelist() if name.endswith("/.info")]
        if not records:
            return {}
        try:
            info = json.loads(archive.read(records[0]))
        except ValueError as error:
            raise CheckpointError(f"its record {records[0]} is not JSON ({error}).") from error
    return info if isinstance(info, dict) else {}
