"""A stage's graph in the operators that TensorRT's ONNX parser and compiler accept, in the precision it runs in.

Stages, inputs and outputs are those of `build_engines.export`. The differences:

- attention stays product, softmax, product, which TensorRT fuses itself (in fp16, not in fp32);
- an LSTM is one ONNX node per layer, as for ONNX Runtime: unrolled, it would fix the number of steps;
- ELU is written out: as one operator it makes TensorRT's compiler fail on the codec's decoder;
- half precision is the module's own ``.half()``. What decides between tokens stays in fp32: the fine stage samples from
  fp32 logits, HuBERT's token head is fp32, and the codec's encoder is fp32 only;
- all operators are ONNX's own;
- the GPTs, whose cache and sampling are in the graph, have a module of their own: `build_engines.tensorrt.gpt`.

Types of inputs and outputs are the same as in every other profile, but for the GPTs'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeGuard

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
from bark_serving.spec import GptStage, Spec
from build_engines.export import graph
from build_engines.export.graphs import GRAPHS, Axes
from build_engines.export.operators import OnnxLstm
from build_engines.tensorrt import gpt, weights


def is_gpt(stage: Stage) -> TypeGuard[GptStage]:
    """Whether the stage has a cache and samples in its graph."""
    return stage in ("semantic", "coarse")


class Elu(nn.Module):
    """max(x, 0) + exp(min(x, 0)) - 1."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(min=0) + x.clamp(max=0).exp() - 1


class Fine(nn.Module):
    """The fine network in the precision of its weights. Sampling from its logits is in fp32."""

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


def inputs(spec: Spec, *, stage: Stage, precision: Precision) -> Axes:
    """Inputs of the stage's graph and plan."""
    if is_gpt(stage):
        return gpt.inputs(spec, stage=stage, precision=precision)
    return GRAPHS[stage].inputs(spec)


def outputs(spec: Spec, *, stage: Stage, precision: Precision) -> Axes:
    """Outputs of the stage's exported graph: more than the plan's, so that more can be validated."""
    if is_gpt(stage):
        return gpt.outputs(spec, stage=stage, precision=precision)
    declared = GRAPHS[stage].outputs(spec)
    if stage == "hubert" and spec.hubert is not None:
        return {**declared, "features": TensorInfo(dtype="float32", axes=("batch", "frames", spec.hubert.width))}
    return declared


def plan_outputs(spec: Spec, *, stage: Stage, precision: Precision) -> Axes:
    """Outputs of the stage's plan. TensorRT computes and stores every output, so there are no more than needed."""
    unneeded = () if is_gpt(stage) else ("logits", "features")
    declared = outputs(spec, stage=stage, precision=precision)
    return {name: info for name, info in declared.items() if name not in unneeded}


def module(bundle: Bundle, *, stage: Stage, precision: Precision) -> nn.Module:
    """The stage's module as it is exported. It cannot be run, because its LSTMs exist as ONNX nodes only."""
    stage_graph = GRAPHS[stage]
    network = networks.load(stage_graph.network, bundle)
    if is_gpt(stage):
        return gpt.module(network, stage=stage, spec=bundle.spec, precision=precision)
    network = stage_graph.forward(network, bundle.spec)
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
    """The stage's graph with every output, for validation. `keep_outputs` then reduces it to what TensorRT gets.

    Raises `BundleError` for a bad bundle, `ExportError` if an axis is fixed that is declared free,
    `BuildError` if the network has no int4.
    """
    stage_graph, spec = GRAPHS[stage], bundle.spec
    # traced at batch 2 and another length than it is validated at: torch takes an axis of size 1 as fixed
    make_sample = gpt.sampler(stage) if is_gpt(stage) else stage_graph.sample
    sample = make_sample(spec, 2, stage_graph.lengths[0] + 4, np.random.default_rng(1))
    declared = inputs(spec, stage=stage, precision=precision)
    with torch.inference_mode():
        model = graph.to_onnx(
            module(bundle, stage=stage, precision=precision),
            sample={
                name: torch.from_numpy(array).to(getattr(torch, declared[name].dtype)) for name, array in sample.items()
            },
            inputs=declared,
            outputs=outputs(spec, stage=stage, precision=precision),
            opset=gpt.OPSET if is_gpt(stage) else graph.OPSET,
        )
    if precision == "int4":
        weights.quantize_int4(model)
    return model


def keep_outputs(path: Path, names: Iterable[str]) -> None:
    """Keep only these outputs of a saved graph. TensorRT removes what nothing then uses."""
    model = onnx.load(str(path), load_external_data=False)
    wanted = set(names)
    kept = [output for output in model.graph.output if output.name in wanted]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    path.write_bytes(model.SerializeToString())
