"""The stateless networks on torch: fine, encodec_decode, encodec_encode, hubert.

Half precision is not for everything. Sampling and HuBERT's token head are always fp32. So is the codec's encoder, since
half precision changes its codes. The codec's decoder is never bf16, whose 8 bits are audible noise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from bark_serving.arrays import Array
from bark_serving.bundle import Bundle
from bark_serving.networks import Encodec, Fine, Hubert, load
from bark_serving.networks.fine import sample
from bark_serving.profiles import Precision, Stage
from bark_serving.runtimes.torch_device import DTYPES, computing

#: Named tensors in, named tensors out: the inputs and outputs of the stage's model.
Stateless = Callable[[dict[str, Tensor]], dict[str, Tensor]]


def fine(bundle: Bundle, device: torch.device, dtype: torch.dtype) -> Stateless:
    network = cast(Fine, load("fine", bundle)).to(device, dtype)

    def run(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        logits = network.logits(inputs["codes"], inputs["codebook"]).float()
        return {"predictions": sample(logits, inputs["temperature"], inputs["uniforms"]), "logits": logits}

    return run


def encodec_decode(bundle: Bundle, device: torch.device, dtype: torch.dtype) -> Stateless:
    network = cast(Encodec, load("encodec", bundle))
    del network.encoder
    network = network.to(device, dtype)

    def run(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        if "state" not in inputs:
            return {"audio": network.decode(inputs["codes"]).float()}
        audio, state = network.decode_chunk(inputs["codes"], inputs["state"].to(dtype))
        return {"audio": audio.float(), "next_state": state.float()}

    return run


def encodec_encode(bundle: Bundle, device: torch.device, dtype: torch.dtype) -> Stateless:
    network = cast(Encodec, load("encodec", bundle))
    del network.decoder
    network = network.to(device, dtype)
    return lambda inputs: {"codes": network.encode(inputs["audio"].to(dtype))}


def hubert(bundle: Bundle, device: torch.device, dtype: torch.dtype) -> Stateless:
    network = cast(Hubert, load("hubert", bundle)).to(device, dtype)
    network.head.float()

    def run(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        features = network.features(inputs["audio"].to(dtype))
        return {"tokens": network.head(features.float()).argmax(-1).int()}

    return run


OPEN: dict[Stage, Callable[[Bundle, torch.device, torch.dtype], Stateless]] = {
    "fine": fine,
    "encodec_decode": encodec_decode,
    "encodec_encode": encodec_encode,
    "hubert": hubert,
}


class TorchNetwork:
    """Implements `bark_serving.runtimes.factory.Network` on the bundle's weights.

    On a CPU each row runs alone. A batch would save no time there, and a row's result never depends on the others.
    """

    def __init__(self, stage: Stage, bundle: Bundle, *, device: torch.device, precision: Precision) -> None:
        self._device = device
        self._dtype = DTYPES[precision]
        with computing(device, self._dtype):
            self._run: Stateless = OPEN[stage](bundle, device, self._dtype)

    def __call__(self, inputs: dict[str, Array], outputs: list[str]) -> dict[str, Any]:
        with computing(self._device, self._dtype):
            tensors = {
                name: torch.from_numpy(np.ascontiguousarray(array)).to(self._device) for name, array in inputs.items()
            }
            rows = len(next(iter(tensors.values())))
            size = 1 if self._device.type == "cpu" else rows
            results = [
                self._run({name: tensor[row : row + size] for name, tensor in tensors.items()})
                for row in range(0, rows, size)
            ]
            return {name: torch.cat([result[name] for result in results]).cpu().numpy() for name in outputs}
