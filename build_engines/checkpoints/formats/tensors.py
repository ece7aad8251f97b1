"""Tensor names: tables from one format's names to ours, and the few changes that are more than a name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch

from build_engines.errors import CheckpointError

Tensors = dict[str, torch.Tensor]

#: Rows of (their name, our name). None: known and not needed. The first row that matches counts.
Table = tuple[tuple[str, str | None], ...]
#: What a placeholder in their name matches. Our name repeats it.
_PLACEHOLDERS = {
    "i": r"\d+",  # a layer's index
    "j": r"\d+",
    "p": r"weight|bias",
    "w": r"weight|bias|weight_g|weight_v",  # the last two: weight norm's magnitude and direction
    "side": r"encoder|decoder",
    "name": r"\w+",
    "rest": r".+",
}

SpecPart = TypeVar("SpecPart")


@dataclass(frozen=True)
class Part(Generic[SpecPart]):
    """One network as read from a checkpoint: its numbers, its tensors under our names, and where they came from."""

    spec: SpecPart
    tensors: Tensors
    source: str  #: for messages
    files: tuple[Path, ...]


def rename(tensors: Mapping[str, torch.Tensor], table: Table) -> Tensors:
    """Tensors under our names. A tensor that no row of the table knows raises `CheckpointError`."""
    rows = [(re.compile(_pattern(theirs)), ours) for theirs, ours in table]
    renamed: Tensors = {}
    for name, tensor in tensors.items():
        ours = _translate(name, rows, shape=list(tensor.shape))
        if ours is not None:
            renamed[ours] = tensor
    return renamed


def _translate(name: str, rows: list[tuple[re.Pattern[str], str | None]], *, shape: list[int]) -> str | None:
    for pattern, ours in rows:
        match = pattern.fullmatch(name)
        if match:
            return ours if ours is None else ours.format(**match.groupdict())
    raise CheckpointError(
        f"tensor {name} {shape} is not expected.",
        remedy="The file is of another model or a newer format.",
    )


def _pattern(theirs: str) -> str:
    parts = re.split(r"\{(\w+)\}", theirs)
    return "".join(
        f"(?P<{part}>{_PLACEHOLDERS[part]})" if index % 2 else re.escape(part) for index, part in enumerate(parts)
    )


def strip_prefix(tensors: Mapping[str, torch.Tensor], prefix: str) -> Tensors:
    """Names without `prefix`, where they have it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def with_prefix(tensors: Mapping[str, torch.Tensor], prefix: str) -> Tensors:
    """Only the tensors whose names start with `prefix`, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def fold_weight_norm(tensors: Tensors) -> Tensors:
    """Replace each pair `x.weight_g`, `x.weight_v` by the weight it stands for: v × g / ‖v‖.

    The norm is taken over all dimensions but the one along which g varies (Salimans and Kingma 2016, and
    `torch.nn.utils.weight_norm`).
    """
    folded = dict(tensors)
    for name in [name for name in tensors if name.endswith(".weight_g")]:
        base = name.removesuffix("_g")
        magnitude = folded.pop(name).float()
        direction = folded.pop(f"{base}_v", None)
        if direction is None:
            raise CheckpointError(f"{name} has no {base}_v beside it.", remedy="Fetch the file again.")
        folded[base] = _weight(magnitude, direction.float(), name=name)
    return folded


def _weight(magnitude: torch.Tensor, direction: torch.Tensor, *, name: str) -> torch.Tensor:
    dimensions = range(direction.dim())
    for kept in dimensions:
        if list(magnitude.shape) == [direction.shape[d] if d == kept else 1 for d in dimensions]:
            others = [d for d in dimensions if d != kept]
            norm: torch.Tensor = torch.linalg.vector_norm(direction, dim=others, keepdim=True)
            return direction * (magnitude / norm)
    raise CheckpointError(
        f"tensor {name} has shape {list(magnitude.shape)}, expected one dimension of {list(direction.shape)} and ones.",
    )


def stack(tensors: Tensors, name: str, *, into: str, count: int) -> Tensors:
    """Replace `name.0` … by one tensor `into` of the first `count` of them. Raises when one is missing."""
    pieces: list[torch.Tensor] = []
    for index in range(count):
        piece = tensors.get(f"{name}.{index}")
        if piece is None:
            raise CheckpointError(f"{name} {index} of {count} is missing.", remedy="Fetch the file again.")
        if pieces and piece.shape != pieces[0].shape:
            raise CheckpointError(f"{name} {index} has shape {list(piece.shape)}, expected {list(pieces[0].shape)}.")
        pieces.append(piece)
    rest = {key: tensor for key, tensor in tensors.items() if not re.fullmatch(rf"{re.escape(name)}\.\d+", key)}
    return {**rest, into: torch.stack(pieces)}


def shape_of(tensors: Tensors, name: str, *, dimensions: int) -> tuple[int, ...]:
    """Shape of a tensor that sizes are derived from. Raises `CheckpointError` when it is missing or of another rank."""
    tensor = tensors.get(name)
    if tensor is None:
        raise CheckpointError(f"tensor {name} is missing.", remedy="Fetch the file again.")
    if tensor.dim() != dimensions:
        raise CheckpointError(f"tensor {name} has shape {list(tensor.shape)}, expected {dimensions} dimensions.")
    return tuple(tensor.shape)


def as_tensors(tree: object) -> Tensors:
    """`tree` if it is a dictionary of tensors by name, else `CheckpointError`."""
    if not isinstance(tree, dict) or not tree:
        raise CheckpointError(f"it holds {type(tree).__name__}, expected tensors by name.")
    for name, tensor in tree.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise CheckpointError(f"{name!s} is {type(tensor).__name__}, expected a tensor.")
    return dict(tree)
