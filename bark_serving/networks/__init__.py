"""Bark's five networks as torch modules of our own, built from a `Spec`.

Their parameter names are the tensor names of a bundle. So a bundle loads without renaming, and
``build(...).state_dict()`` under ``torch.device("meta")`` lists the tensors that a bundle must hold.
"""

from __future__ import annotations

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from bark_serving.bundle import Bundle, BundleError
from bark_serving.networks.encodec import Encodec
from bark_serving.networks.fine import Fine
from bark_serving.networks.gpt import Gpt
from bark_serving.networks.hubert import Hubert
from bark_serving.spec import Network, Spec

__all__ = ["Encodec", "Fine", "Gpt", "Hubert", "build", "load"]


def build(network: Network, spec: Spec) -> nn.Module:
    """One network of `spec`: fp32, in eval mode, without gradients, on the current default device.

    Raises `BundleError` when the spec lacks the network (only ``hubert`` is optional).
    """
    module: nn.Module
    if network == "semantic":
        module = Gpt(spec.semantic.gpt)
    elif network == "coarse":
        module = Gpt(spec.coarse.gpt)
    elif network == "fine":
        module = Fine(spec.fine, codebooks=spec.encodec.codebooks, codebook_size=spec.encodec.codebook_size)
    elif network == "encodec":
        module = Encodec(spec.encodec)
    elif spec.hubert is None:
        raise BundleError(
            f"Bundle {spec.name} has no hubert.",
            remedy="Import the checkpoint again with HuBERT and its token head.",
        )
    else:
        module = Hubert(spec.hubert)
    return module.float().eval().requires_grad_(False)


def load(network: Network, bundle: Bundle) -> nn.Module:
    """`build` with the bundle's weights (memory-mapped, not copied).

    Raises `BundleError` when the file is missing or unreadable, or a tensor is missing, unexpected or of another shape.
    """
    path = bundle.weights(network)
    with torch.device("meta"):
        module = build(network, bundle.spec)
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{path} cannot be read ({error}).", remedy="Import the checkpoint again.") from error
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if expected != found:
        name = min(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise BundleError(
            f"{path}: tensor {name} is {found.get(name, 'missing')}, the spec asks for {expected.get(name, 'none')}.",
            remedy="Import the checkpoint again.",
        )
    module.load_state_dict(tensors, assign=True)
    return module.float().eval().requires_grad_(False)
