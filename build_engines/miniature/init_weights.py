"""First weights. Where torch's own are good enough (HuBERT), they stay."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from bark_serving.networks import Encodec, Fine, Gpt
from bark_serving.networks.gpt import Layer

SPREAD = 0.02  #: standard deviation of a transformer's weights, as of GPT-2
GAIN = 1.2  #: of a convolution before an ELU, so that its output varies as much as its input
QUIET = 0.3  #: of a residual branch beside its shortcut
SHORTEST, LONGEST = 0.04, 10.0  #: seconds of the waves that tell positions apart
NEARBY = 0.1  #: standard deviation of the weights that make a layer attend to what is near in time
SPEECH = 12.0  #: what makes speech at the loudness of the recordings vary by about one


def init_weights(network: nn.Module, *, times: Tensor | None = None) -> None:
    """Give a network its first weights, drawn from torch's generator.

    times: seconds [block_size] of a transformer's positions, if they stand for moments: it then begins by attending to
    what is near in time.
    """
    if isinstance(network, (Gpt, Fine)):
        _init_transformer(network)
        if isinstance(network, Gpt) and times is not None:
            _attend_nearby(network, times)
    elif isinstance(network, Encodec):
        _init_codec(network)


def _init_transformer(network: Gpt | Fine) -> None:
    """As GPT-2: what is added to the residual stream is smaller the more layers add to it."""
    for name, weight in network.named_parameters():
        if weight.dim() > 1:
            added = name.endswith(("attention.out.weight", "mlp.down.weight"))
            nn.init.normal_(weight, std=SPREAD / math.sqrt(2 * len(network.layers)) if added else SPREAD)


@torch.no_grad()
def _attend_nearby(network: Gpt, times: Tensor) -> None:
    """Positions begin as sinusoids of their times (Vaswani et al., 2017), queries and keys of the first layer alike."""
    table = network.position_embedding.weight
    count = table.shape[1] // 2
    wavelengths = torch.logspace(math.log10(SHORTEST), math.log10(LONGEST), count)
    phases = 2 * math.pi * times[:, None] / wavelengths
    table.copy_(SPREAD * math.sqrt(2) * torch.cat([phases.sin(), phases.cos()], dim=1))
    layer = network.layers[0]
    assert isinstance(layer, Layer)
    queries, keys, _ = layer.attention.qkv.weight.chunk(3)
    nn.init.normal_(queries, std=NEARBY)
    keys.copy_(queries)


@torch.no_grad()
def _init_codec(codec: Encodec) -> None:
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
