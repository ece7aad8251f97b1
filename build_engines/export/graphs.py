"""Each stage's graph: its network, its inputs and outputs with axis labels, and sample inputs.

The exporter, and all code that runs an engine, rely on these names. They are declared nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from bark_serving.decoding.rules import head_rows, rule_of
from bark_serving.engines.manifest import TensorInfo
from bark_serving.networks import Encodec, Gpt
from bark_serving.profiles import Stage
from bark_serving.spec import GptSpec, GptStage, Network, Spec

Arrays = dict[str, npt.NDArray[Any]]
Axes = dict[str, TensorInfo]


@dataclass(frozen=True)
class StageGraph:
    """One stage as a graph.

    ``sample(spec, batch, length, rng)`` makes inputs. Every export is validated at both `lengths`, which are in the
    stage's own unit (positions, frames or samples).
    """

    network: Network
    inputs: Callable[[Spec], Axes]
    outputs: Callable[[Spec], Axes]
    sample: Callable[[Spec, int, int, np.random.Generator], Arrays]
    lengths: tuple[int, int]
    forward: Callable[[Any, Spec], nn.Module] = lambda network, spec: cast(nn.Module, network)


class Decode(nn.Module):
    """The codec's decoder as a module of its own."""

    def __init__(self, codec: Encodec) -> None:
        super().__init__()
        self.codec = codec

    def forward(self, codes: Tensor) -> Tensor:
        return self.codec.decode(codes)


class Encode(nn.Module):
    """The codec's encoder as a module of its own."""

    def __init__(self, codec: Encodec) -> None:
        super().__init__()
        self.codec = codec

    def forward(self, audio: Tensor) -> Tensor:
        return self.codec.encode(audio)


def _decoder(codec: Encodec, _: Spec) -> nn.Module:
    return Decode(codec)


def _encoder(codec: Encodec, _: Spec) -> nn.Module:
    return Encode(codec)


def _cache_axes(gpt: GptSpec, prefix: str) -> Axes:
    axes = ("batch", gpt.heads, "capacity", gpt.head_width)
    return {
        f"{prefix}_{kind}_{i}": TensorInfo(dtype="float32", axes=axes)
        for i in range(gpt.layers)
        for kind in ("key", "value")
    }


def with_int8_cache(axes: Axes) -> Axes:
    """The axes with int8 as the type of the cache."""
    return {
        name: info.model_copy(update={"dtype": "int8"}) if name.startswith(("past_", "present_")) else info
        for name, info in axes.items()
    }


def _gpt_graph(stage: GptStage) -> StageGraph:
    def inputs(spec: Spec) -> Axes:
        return {
            "embeddings": TensorInfo(dtype="float32", axes=("batch", "sequence", spec.gpt(stage).width)),
            "positions": TensorInfo(dtype="int64", axes=("batch", "sequence")),
            "seqlens": TensorInfo(dtype="int32", axes=("batch",)),
            "total_length": TensorInfo(dtype="int32", axes=(1,)),
            **_cache_axes(spec.gpt(stage), "past"),
        }

    def outputs(spec: Spec) -> Axes:
        gpt, rows = spec.gpt(stage), head_rows(rule_of(stage, spec))
        logits = TensorInfo(dtype="float32", axes=("batch", rows.stop - rows.start))
        return {"logits": logits, **_cache_axes(gpt, "present")}

    def sample(spec: Spec, batch: int, length: int, rng: np.random.Generator) -> Arrays:
        """A prefill of `length` positions; the cache has room for a few more."""
        gpt = spec.gpt(stage)
        cache = np.zeros((batch, gpt.heads, length + 4, gpt.head_width), np.float32)
        return {
            "embeddings": rng.standard_normal((batch, length, gpt.width), np.float32),
            "positions": np.tile(np.arange(length, dtype=np.int64), (batch, 1)),
            "seqlens": np.full(batch, length - 1, np.int32),
            "total_length": np.array([length], np.int32),
            **dict.fromkeys(_cache_axes(gpt, "past"), cache),
        }

    def forward(gpt: Gpt, spec: Spec) -> nn.Module:
        """The network with only those rows of its head that may be sampled. A step reads every weight of its graph."""
        head = gpt.head.weight[head_rows(rule_of(stage, spec))]
        gpt.head = nn.Linear(gpt.spec.width, len(head), bias=False)
        gpt.head.weight = nn.Parameter(head)
        return gpt

    return StageGraph(stage, inputs, outputs, sample, lengths=(7, 19), forward=forward)


def _fine_graph() -> StageGraph:
    def inputs(spec: Spec) -> Axes:
        return {
            "codes": TensorInfo(dtype="int32", axes=("batch", spec.encodec.codebooks, "window")),
            "codebook": TensorInfo(dtype="int32", axes=("batch", 1)),
            "temperature": TensorInfo(dtype="float32", axes=("batch", 1)),
            "uniforms": TensorInfo(dtype="float32", axes=("batch", "window")),
        }

    def outputs(spec: Spec) -> Axes:
        return {
            "predictions": TensorInfo(dtype="int32", axes=("batch", "window")),
            "logits": TensorInfo(dtype="float32", axes=("batch", "window", spec.encodec.codebook_size)),
        }

    def sample(spec: Spec, batch: int, length: int, rng: np.random.Generator) -> Arrays:
        """Each row samples another codebook. The last row is greedy."""
        codebooks = spec.encodec.codebooks
        sampled = codebooks - 1 - np.arange(batch, dtype=np.int32) % (codebooks - spec.fine.codebooks_given)
        temperature = np.full((batch, 1), 0.5, np.float32)
        temperature[-1] = 0
        return {
            "codes": rng.integers(0, spec.encodec.codebook_size, (batch, codebooks, length), np.int32),
            "codebook": sampled[:, None],
            "temperature": temperature,
            "uniforms": rng.random((batch, length), np.float32),
        }

    return StageGraph("fine", inputs, outputs, sample, lengths=(24, 65))


def _codes(spec: Spec) -> Axes:
    return {"codes": TensorInfo(dtype="int32", axes=("batch", spec.encodec.codebooks, "frames"))}


def _audio(_: Spec) -> Axes:
    return {"audio": TensorInfo(dtype="float32", axes=("batch", "samples"))}


def _sample_codes(spec: Spec, batch: int, length: int, rng: np.random.Generator) -> Arrays:
    return {"codes": rng.integers(0, spec.encodec.codebook_size, (batch, spec.encodec.codebooks, length), np.int32)}


def _sample_frames(spec: Spec, batch: int, length: int, rng: np.random.Generator) -> Arrays:
    return {"audio": _noise(batch, length * spec.encodec.samples_per_frame, rng)}


def _sample_wave(_: Spec, batch: int, length: int, rng: np.random.Generator) -> Arrays:
    return {"audio": _noise(batch, length, rng)}


def _noise(batch: int, samples: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    return 0.3 * rng.standard_normal((batch, samples), np.float32)


def _tokens(_: Spec) -> Axes:
    return {"tokens": TensorInfo(dtype="int32", axes=("batch", "frames"))}


GRAPHS: dict[Stage, StageGraph] = {
    "semantic": _gpt_graph("semantic"),
    "coarse": _gpt_graph("coarse"),
    "fine": _fine_graph(),
    "encodec_decode": StageGraph("encodec", _codes, _audio, _sample_codes, lengths=(9, 26), forward=_decoder),
    "encodec_encode": StageGraph("encodec", _audio, _codes, _sample_frames, lengths=(9, 26), forward=_encoder),
    "hubert": StageGraph("hubert", _audio, _tokens, _sample_wave, lengths=(3_000, 7_777)),
}
