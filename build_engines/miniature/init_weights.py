"""Initial weights of the networks. HuBERT keeps torch's own, which are good enough."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from bark_serving.networks import Encodec, Fine, Gpt
from bark_serving.networks.gpt import Layer

WEIGHT_STD = 0.02  #: standard deviation of a transformer's weights, as in GPT-2
ELU_GAIN = 1.2  #: of a convolution before an ELU: its output then has the variance of its input
BRANCH_GAIN = 0.3  #: of a residual branch, beside its shortcut
MIN_PERIOD_S, MAX_PERIOD_S = 0.04, 10.0  #: of the sinusoids that tell positions apart
QUERY_STD = 0.1  #: standard deviation of query weights in a layer that begins by attending to what is near in time
SPEECH_GAIN = 12.0  #: brings speech at the loudness of the recordings to a standard deviation of about 1


def init_weights(network: nn.Module, *, times: Tensor | None = None) -> None:
    """Give a network its initial weights, from torch's random generator.

    times: the time of each position of a GPT, in seconds, [block_size]. With it the GPT begins by attending to
    positions that are near in time.
    """
    if isinstance(network, (Gpt, Fine)):
        _init_transformer(network)
        if isinstance(network, Gpt) and times is not None:
            _attend_nearby(network, times)
    elif isinstance(network, Encodec):
        _init_codec(network)


def _init_transformer(network: Gpt | Fine) -> None:
    """As GPT-2: the more layers there are, the smaller are the weights that add to the residual stream."""
    for name, weight in network.named_parameters():
        if weight.dim() > 1:
            is_added = name.endswith(("attention.out.weight", "mlp.down.weight"))
            nn.init.normal_(weight, std=WEIGHT_STD / math.sqrt(2 * len(network.layers)) if is_added else WEIGHT_STD)


@torch.no_grad()
def _attend_nearby(network: Gpt, times: Tensor) -> None:
    """Make position embeddings sinusoids of the times (Vaswani et al., 2017), and first-layer keys equal to queries."""
    table = network.position_embedding.weight
    count = table.shape[1] // 2
    periods = torch.logspace(math.log10(MIN_PERIOD_S), math.log10(MAX_PERIOD_S), count)
    phases = 2 * math.pi * times[:, None] / periods
    table.copy_(WEIGHT_STD * math.sqrt(2) * torch.cat([phases.sin(), phases.cos()], dim=1))
    layer = network.layers[0]
    assert isinstance(layer, Layer)
    queries, keys, _ = layer.attention.qkv.weight.chunk(3)
    nn.init.normal_(queries, std=QUERY_STD)
    keys.copy_(queries)


@torch.no_grad()
def _init_codec(codec: Encodec) -> None:
    """Weights that keep the variance from layer to layer (He et al., 2015). All biases are zero.

    With torch's own weights, biases drown a quiet input, and it shrinks at every layer. The codec then gives the same
    output for every input during hundreds of steps.
    """
    for name, layer in codec.named_modules():
        if not isinstance(layer, (nn.Conv1d, nn.ConvTranspose1d)):
            continue
        if isinstance(layer, nn.ConvTranspose1d):
            inputs = layer.weight.shape[0] * layer.kernel_size[0] / layer.stride[0]
        else:
            inputs = layer.weight[0].numel()
        gain = ELU_GAIN * (BRANCH_GAIN if name.endswith("block.3.conv") else 1.0)
        nn.init.normal_(layer.weight, std=gain / math.sqrt(inputs))
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
    codec.get_parameter("encoder.layers.0.conv.weight").mul_(SPEECH_GAIN)
    last = len(codec.decoder.layers) - 1
    codec.get_parameter(f"decoder.layers.{last}.conv.weight").div_(SPEECH_GAIN)
