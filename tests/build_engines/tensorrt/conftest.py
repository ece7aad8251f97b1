"""Graphs in TensorRT's dialect, small and at Bark's true sizes. Each is exported once per session."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest
from onnx import ModelProto

from bark_serving.bundle import Bundle
from bark_serving.profiles import Precision, Stage
from build_engines.export import graph
from build_engines.tensorrt import dialect
from tests.bundles import random_bundle, small_spec, true_size_spec

#: The stages without a KV cache. TensorRT runs these ones in the profile trtllm, too.
NETWORK_STAGES: list[Stage] = ["fine", "encodec_decode", "encodec_encode", "hubert"]
#: Returns the saved graph of a stage, as TensorRT gets it.
Exported = Callable[[Stage, Precision], Path]
#: Returns a copy of the graph of a stage of the small bundle.
SmallGraph = Callable[[Stage, Precision], ModelProto]


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """All networks as small as possible."""
    return random_bundle(tmp_path_factory.mktemp("tensorrt") / "small", small_spec())


@pytest.fixture(scope="session")
def small_graph(small: Bundle) -> SmallGraph:
    """Graphs of the small bundle with every output. Each is exported at the first request."""

    @functools.cache
    def export_once(stage: Stage, precision: Precision) -> ModelProto:
        return dialect.export(small, stage=stage, precision=precision)

    def get(stage: Stage, precision: Precision) -> ModelProto:
        copy = ModelProto()
        copy.CopyFrom(export_once(stage, precision))
        return copy

    return get


@pytest.fixture(scope="session")
def true_size(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Bark small. The codec and HuBERT have only one size."""
    folder = tmp_path_factory.mktemp("tensorrt") / "true-size"
    return random_bundle(folder, true_size_spec(), networks=["fine", "encodec", "hubert"])


@pytest.fixture(scope="session")
def exported(true_size: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Graphs of the true-size bundle. Each is exported at the first request."""
    root, paths = tmp_path_factory.mktemp("graphs"), {}

    def get(stage: Stage, precision: Precision) -> Path:
        if (stage, precision) not in paths:
            paths[stage, precision] = export(true_size, stage=stage, precision=precision, folder=root)
        return paths[stage, precision]

    return get


def export(bundle: Bundle, *, stage: Stage, precision: Precision, folder: Path) -> Path:
    """A saved graph as TensorRT gets it."""
    path = folder / f"{stage}-{precision}.onnx"
    graph.save(dialect.export(bundle, stage=stage, precision=precision), path)
    dialect.keep_outputs(path, dialect.plan_outputs(bundle.spec, stage=stage, precision=precision))
    return path


def declared(bundle: Bundle, stage: Stage, precision: Precision = "fp16") -> dict[str, object]:
    """The arguments of `compiler.build` that describe a stage. The precision matters for the GPTs only."""
    return {
        "inputs": dialect.inputs(bundle.spec, stage=stage, precision=precision),
        "outputs": dialect.plan_outputs(bundle.spec, stage=stage, precision=precision),
    }


def without_mask(model: ModelProto) -> None:
    """Remove what each Attention of a graph is masked by."""
    for node in model.graph.node:
        if node.op_type == "Attention":
            del node.input[3:]
