"""Does a set of tensors fit a network of this spec? The network's own parameters say what is expected."""

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
    """Names and shapes of a network's tensors in a bundle of this spec; no memory is used for them."""
    return dict(_expected(network, spec.model_dump_json()))


def check(tensors: Mapping[str, torch.Tensor], *, network: Network, spec: Spec, source: str) -> None:
    """Raise `CheckpointError` unless `tensors` are exactly those of `network`.

    `source` names the file(s) they were read from; missing tensors are reported before extra ones, then shapes,
    then values that are not finite.
    """
    want = expected(network, spec)
    missing = sorted(want.keys() - tensors.keys())
    if missing:
        raise CheckpointError(
            f"{source}: {network} lacks tensor {missing[0]} {list(want[missing[0]])}{_more(missing)}.",
            remedy="The file is incomplete or of another model; fetch it again.",
        )
    extra = sorted(tensors.keys() - want.keys())
    if extra:
        raise CheckpointError(
            f"{source}: {network} has tensor {extra[0]} {list(tensors[extra[0]].shape)}, which is not expected"
            f"{_more(extra)}.",
            remedy="The file is of another model or a newer format.",
        )
    for name, shape in want.items():
        found = tuple(tensors[name].shape)
        if found != shape:
            raise CheckpointError(
                f"{source}: {network} tensor {name} has shape {list(found)}, expected {list(shape)}.",
                remedy="The file's sizes disagree with its configuration; fetch both from the same place.",
            )
        if not tensors[name].is_floating_point():
            raise CheckpointError(f"{source}: {network} tensor {name} is {tensors[name].dtype}, expected floats.")
        if not bool(torch.isfinite(tensors[name]).all()):
            raise CheckpointError(
                f"{source}: {network} tensor {name} holds values that are not finite.",
                remedy="The file is damaged; fetch it again.",
            )


def _more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
