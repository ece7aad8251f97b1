"""Whether tensors fit a network of a spec. The network's own parameters say what is expected."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import torch

from bark_serving.networks import build
from bark_serving.spec import Network, Spec
from build_engines.errors import CheckpointError

Shape = tuple[int, ...]


@functools.lru_cache(maxsize=16)
def _expected(network: Network, spec_json: str) -> dict[str, Shape]:
    with torch.device("meta"):
        module = build(network, Spec.model_validate_json(spec_json))
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def expected(network: Network, spec: Spec) -> dict[str, Shape]:
    """Names and shapes of a network's tensors in a bundle of this spec. Allocates no memory for them."""
    return dict(_expected(network, spec.model_dump_json()))


def check_tensors(tensors: Mapping[str, torch.Tensor], *, network: Network, spec: Spec) -> None:
    """Raise `CheckpointError` unless `tensors` are exactly those of `network`.

    Missing tensors are reported first, then extra ones, then wrong shapes, then values that are not finite.
    """
    needed = expected(network, spec)
    missing = sorted(needed.keys() - tensors.keys())
    if missing:
        raise CheckpointError(
            f"{network} lacks tensor {missing[0]} {list(needed[missing[0]])}{_more(missing)}.",
            remedy="The file is incomplete or of another model; fetch it again.",
        )
    extra = sorted(tensors.keys() - needed.keys())
    if extra:
        raise CheckpointError(
            f"{network} has tensor {extra[0]} {list(tensors[extra[0]].shape)}, which is not expected{_more(extra)}.",
            remedy="The file is of another model or a newer format.",
        )
    for name, shape in needed.items():
        found = tuple(tensors[name].shape)
        if found != shape:
            raise CheckpointError(
                f"{network} tensor {name} has shape {list(found)}, expected {list(shape)}.",
                remedy="The file's sizes disagree with its configuration; fetch both from the same place.",
            )
        if not tensors[name].is_floating_point():
            raise CheckpointError(f"{network} tensor {name} is {tensors[name].dtype}, expected floats.")
        if not bool(torch.isfinite(tensors[name]).all()):
            raise CheckpointError(
                f"{network} tensor {name} holds values that are not finite.",
                remedy="The file is damaged; fetch it again.",
            )


def _more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
