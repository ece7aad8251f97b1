"""First weights. Where torch's own are good enough (HuBERT), they stay."""

from __future__ import annotations

import math

import torch
from torch import nn

from bark_serving.networks import Encodec, Fine, Gpt

SPREAD = 0.02  #: standard deviation of a transformer's weights, as of GPT-2
GAIN = 1.2  #: of a convolution before an ELU, so that its output varies as much as its input
QUIET = 0.3  #: of a residual branch beside its shortcut
SPEECH = 12.0  #: what makes speech at the loudness of the recordings vary by about one


def begin(network: nn.Module) -> None:
    """Give a network its first weights, drawn from torch's generator."""
    if isinstance(network, (Gpt, Fine)):
        _begin_transformer(network)
    elif isinstance(network, Encodec):
        _begin_codec(network)


def _begin_transformer(network: Gpt | Fine) -> None:
    """As GPT-2: what is added to the residual stream is smaller the more layers add to it."""
    for name, weight in network.named_parameters():
        if weight.dim() > 1:
            added = name.endswith(("attention.out.weight", "mlp.down.weight"))
            nn.init.normal_(weight, std=SPREAD / math.sqrt(2 * len(network.layers)) if added else SPREAD)


@torch.no_grad()
def _begin_codec(codec: Encodec) -> None:
    """Variance is kept from layer to layer (He et al., 2015), and no biases.

    Under torch's own weights a quiet input drowns in biases and shrinks at every layer: for hundreds of steps the
    codec says the same whatever it hears.
    """
    for name, layer in codec.named_modules():
        if not isinstance(layer, (nn.Conv1d, nn.ConvTranspose1d)):
            continue
        if isinstance(layer, nn.ConvTranspose1d):
            inputs = layer.weight.shape[0] * layer.kernel_size[0] / layer.stride[0]
        else:
            inputs = layer.weight[0].numel()
        branch = QUIET if name.endswith("block.3.conv") else 1.0
        nn.init.normal_(layer.weight, std=branch * GAIN / math.sqrt(inputs))
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
    codec.get_parameter("encoder.layers.0.conv.weight").mul_(SPEECH)
    last = len(codec.decoder.layers) - 1
    codec.get_parameter(f"decoder.layers.{last}.conv.weight").div_(SPEECH)
