"""A stage's network in the words that TensorRT's ONNX parser and compiler understand, in the precision it runs in.

The stages, their inputs and outputs are those of `build_engines.export`. What differs is written here:

- attention stays the plain product–softmax–product, which TensorRT fuses by itself (in fp16; not in fp32);
- an LSTM is one ONNX node a layer, as for ONNX Runtime; unrolled, it would fix the number of steps;
- ELU is spelled out: as one operator it breaks TensorRT's compiler on the codec's decoder;
- half precision is the module's own ``.half()``, with islands in fp32 where a decision falls: the fine stage draws
  from fp32 logits, HuBERT's token head is fp32, and the codec's encoder has no half precision at all;
- no operator outside ONNX itself.

Types at the boundary are the same as in every other profile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import ModelProto
from torch import Tensor, nn

from bark_serving import networks
from bark_serving.bundle import Bundle
from bark_serving.engines.manifest import TensorInfo
from bark_serving.networks.fine import sample
from bark_serving.profiles import Precision, Stage
from bark_serving.spec import Spec
from build_engines.export import graph
from build_engines.export.graphs import GRAPHS, Axes
from build_engines.export.operators import OnnxLstm


class Elu(nn.Module):
    """max(x, 0) + exp(min(x, 0)) - 1."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(min=0) + x.clamp(max=0).exp() - 1


class Fine(nn.Module):
    """The fine network in the precision of its weights; the draw from its logits in fp32."""

    def __init__(self, fine: Any) -> None:
        super().__init__()
        self.fine = fine

    def forward(self, codes: Tensor, codebook: Tensor, temperature: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.fine.logits(codes, codebook).float()
        return sample(logits, temperature, uniforms), logits


class Decode(nn.Module):
    """The codec's decoder in the precision of its weights; audio in fp32."""

    def __init__(self, decode: Any) -> None:
        super().__init__()
        self.decode = decode

    def forward(self, codes: Tensor) -> Tensor:
        audio: Tensor = self.decode(codes)
        return audio.float()


class Hubert(nn.Module):
    """HuBERT in the precision of its weights; its token head, which ends in an argmax, in fp32."""

    def __init__(self, hubert: Any) -> None:
        super().__init__()
        self.hubert = hubert
        self.hubert.head.float()

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        precision = self.hubert.feature_projection.projection.weight.dtype
        features = self.hubert.features(audio.to(precision)).float()
        return self.hubert.head(features).argmax(-1).int(), features


_ISLANDS: dict[Stage, Callable[[nn.Module], nn.Module]] = {"fine": Fine, "encodec_decode": Decode, "hubert": Hubert}


def outputs(spec: Spec, *, stage: Stage) -> Axes:
    """What the stage's exported graph gives: more than its plan, so that more can be validated."""
    declared = GRAPHS[stage].outputs(spec)
    if stage == "hubert" and spec.hubert is not None:
        return {**declared, "features": TensorInfo(dtype="float32", axes=("batch", "frames", spec.hubert.width))}
    return declared


def plan_outputs(spec: Spec, *, stage: Stage) -> Axes:
    """What the stage's plan gives: TensorRT computes and stores every output, asked for or not."""
    return {name: info for name, info in outputs(spec, stage=stage).items() if name not in ("logits", "features")}


def module(bundle: Bundle, *, stage: Stage, precision: Precision) -> nn.Module:
    """The stage's module as it is exported. Its LSTMs exist as ONNX nodes only: it cannot be run."""
    stage_graph = GRAPHS[stage]
    network = stage_graph.forward(networks.load(stage_graph.network, bundle), bundle.spec)
    if precision == "fp16":
        network = network.half()
    if stage in _ISLANDS:
        network = _ISLANDS[stage](network)
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.ELU):
                setattr(parent, name, Elu())
            elif isinstance(child, nn.LSTM):
                setattr(parent, name, OnnxLstm(child))
    return network


def export(bundle: Bundle, *, stage: Stage, precision: Precision) -> ModelProto:
    """The stage's graph with every output, to be validated; `keep_outputs` makes of it what TensorRT gets.

    Raises `BundleError` for a bad bundle, `ExportError` when an axis came out fixed that is declared free.
    """
    stage_graph, spec = GRAPHS[stage], bundle.spec
    # traced at batch 2 and a length of its own: torch takes an axis of 1 for a fixed one
    sample = stage_graph.sample(spec, 2, stage_graph.lengths[0] + 4, np.random.default_rng(1))
    with torch.inference_mode():
        return graph.to_onnx(
            module(bundle, stage=stage, precision=precision),
            sample={name: torch.from_numpy(array) for name, array in sample.items()},
            inputs=stage_graph.inputs(spec),
            outputs=outputs(spec, stage=stage),
        )


def keep_outputs(path: Path, names: Iterable[str]) -> None:
    """Leave only these outputs in a saved graph; TensorRT drops what then leads nowhere."""
    model = onnx.load(str(path), load_external_data=False)
    wanted = set(names)
    kept = [output for output in model.graph.output if output.name in wanted]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    path.write_bytes(model.SerializeToString())
