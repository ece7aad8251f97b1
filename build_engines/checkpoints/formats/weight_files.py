"""The weight files of a transformers folder: one or many, safetensors or pickles."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from build_engines.checkpoints.formats.config import read_json, section
from build_engines.checkpoints.formats.pickles import load_pickle
from build_engines.checkpoints.formats.tensors import Tensors, as_tensors
from build_engines.errors import CheckpointError, naming, refuse_placeholder

#: In order of preference; an index names the shards that hold each tensor. `from_pretrained` reads those without a
#: variant. Those with one are written by `save_pretrained(…, variant="fp16")`.
PREFERENCE = (
    *("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"),
    *("model.fp16.safetensors", "model.safetensors.index.fp16.json"),
    *("pytorch_model.fp16.bin", "pytorch_model.bin.index.fp16.json"),
)


def main_file(names: Iterable[str]) -> str | None:
    """Of these files, the one to read weights from: a file of weights, or the index of its shards."""
    found = set(names)
    return next((name for name in PREFERENCE if name in found), None)


def is_index(name: str) -> bool:
    """Whether this answer of `main_file` is an index of shards."""
    return name.endswith(".json")


def shards(index: Path) -> list[str]:
    """The files an index refers to. Raises `CheckpointError`, also for names that lead out of the folder."""
    names = sorted({str(name) for name in section(read_json(index), "weight_map").values()})
    if not names:
        raise CheckpointError(f"{index} has no weight_map.", remedy="Fetch it again.")
    for name in names:
        if Path(name).name != name:
            raise CheckpointError(f"{index}: the shard {name!r} is not a plain file name.")
    return names


def read_weights(folder: Path, name: str) -> tuple[Tensors, tuple[Path, ...]]:
    """All tensors behind `main_file`'s answer, mapped rather than read, and the files they are in."""
    path = folder / name
    if not is_index(name):
        return _read(path), (path,)
    files = [folder / shard for shard in shards(path)]
    tensors: Tensors = {}
    for file in files:
        tensors |= _read(file)
    for missing in section(read_json(path), "weight_map").keys() - tensors.keys():
        raise CheckpointError(f"{path} lists tensor {missing}, which no shard holds.", remedy="Fetch the shards again.")
    return tensors, (path, *files)


def _read(path: Path) -> Tensors:
    refuse_placeholder(path)
    if path.suffix != ".safetensors":
        with naming(path):
            return as_tensors(load_pickle(path))
    try:
        return load_file(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error}).") from error
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} is truncated or is not a safetensors file ({error}).", remedy="Fetch it again."
        ) from error
