"""One stage of a bundle to one engine of a store: load, export, quantize, save, validate, publish."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from onnx import ModelProto
from torch import nn

from bark_serving import layouts, networks
from bark_serving.bundle import Bundle
from bark_serving.decoding import rules
from bark_serving.engines.compatibility import kernels_layout
from bark_serving.engines.kernels import KERNELS_FILE, MANIFEST_NAME, instruction_set
from bark_serving.engines.manifest import Manifest
from bark_serving.engines.store import MODEL_FILE, PRECISIONS, Engine, EngineStore
from bark_serving.networks import Gpt
from bark_serving.profiles import TRANSFORMERS, Precision, Stage
from bark_serving.runtimes.onnx_session import WIDE_FILE, multiplies_int8_exactly
from bark_serving.spec import GptSpec, Spec
from build_engines.builder import builder_version
from build_engines.errors import BuildError, ExportError
from build_engines.export import decoder_chunks, decoder_layers, graph, kv_cache, quantize, row_pairs
from build_engines.export.graphs import GRAPHS, Decode, with_int8_cache
from build_engines.export.operators import onnxruntime_operators
from build_engines.export.validate import validate
from build_engines.steps import OnStep, ignore_steps, report_steps

log = logging.getLogger(__name__)

STEPS = ("load", "export", "pack", "quantize", "save", "validate", "publish")
#: Bits of a weight in the graph for decode steps. In the graph for many positions it always has 8.
BITS: dict[Precision, int] = {"int8": 8, "int4": 4}
_NARROW = "-narrow"  #: marks a builder that leaves out the graph for many positions, because its CPU cannot check it
#: The code that determines an exported graph.
SOURCES = (Path(__file__).parent, Path(networks.__file__).parent, Path(layouts.__file__).parent, Path(rules.__file__))
_LIBRARIES = ("torch", "onnx", "onnxscript", "onnxruntime")


def manifest(bundle: Bundle, *, stage: Stage, precision: Precision) -> Manifest:
    """What an engine built here and now would be. Raises `BuildError` for a precision that the stage does not have."""
    if precision not in PRECISIONS[stage]:
        raise BuildError(
            f"{stage} cannot be built in {precision}.", remedy=f"It has {' and '.join(PRECISIONS[stage])}."
        )
    return Manifest(
        stage=stage,
        profile="cpu",
        precision=precision,
        bundle=bundle.hash,
        bundle_name=bundle.spec.name,
        versions={library: metadata.version(library) for library in _LIBRARIES} | _kernels_version(stage, precision),
        builder=builder_version(*SOURCES) + ("" if precision not in BITS or multiplies_int8_exactly() else _NARROW),
        inputs=GRAPHS[stage].inputs(bundle.spec),
        outputs=GRAPHS[stage].outputs(bundle.spec),
    )


def _kernels_version(stage: Stage, precision: Precision) -> dict[str, str]:
    """The layout of the packed weights, if the engine gets any: they are checked, so the kernels must run here."""
    packs = precision in BITS and stage in TRANSFORMERS and instruction_set() is not None
    return {MANIFEST_NAME: kernels_layout() or ""} if packs else {}


def make(
    bundle: Bundle,
    *,
    stage: Stage,
    precision: Precision,
    store: EngineStore,
    on_step: OnStep = ignore_steps,
) -> Engine:
    """The engine of one stage, from the store or built now. ``on_step`` is told each of `STEPS` as it begins.

    Raises `BundleError` for a bad bundle and `ExportError` when the graph does not compute what the network does.
    """
    report = report_steps(on_step, STEPS)

    def build(folder: Path) -> Mapping[str, object]:
        changes = _export(bundle, stage=stage, precision=precision, folder=folder, report=report)
        report("publish")
        return changes

    return store.publish(manifest(bundle, stage=stage, precision=precision), build)


def _export(
    bundle: Bundle, *, stage: Stage, precision: Precision, folder: Path, report: Callable[..., None]
) -> Mapping[str, object]:
    """Write and validate the stage's graphs. Returns the manifest's entries that are known only now."""
    spec, stage_graph = bundle.spec, GRAPHS[stage]
    report("load")
    module = stage_graph.forward(networks.load(stage_graph.network, bundle), spec)
    report("export")
    # batch 2, because torch takes an axis of size 1 as fixed; a length that validation does not use
    sample = stage_graph.sample(spec, 2, stage_graph.lengths[0] + 4, np.random.default_rng(1))
    with onnxruntime_operators(module), torch.inference_mode():
        model = graph.to_onnx(
            module,
            sample={name: torch.from_numpy(array) for name, array in sample.items()},
            inputs=stage_graph.inputs(spec),
            outputs=stage_graph.outputs(spec),
        )
    if isinstance(module, Decode):
        layers = decoder_layers.export(module.codec)
        model = decoder_layers.insert(layers, into=model)
        decoder_chunks.export(module.codec, layers, folder=folder)
    if precision not in BITS:
        report("save")
        graph.save(model, folder / MODEL_FILE)
        report("validate")
        validate(stage, module=module, spec=spec, precision=precision, path=folder / MODEL_FILE)
        return {}
    if _kernels_version(stage, precision):
        _pack(module, spec, stage=stage, precision=precision, folder=folder, report=report)
    gpt = module.spec if isinstance(module, Gpt) else None
    # first with an int8 cache; if that loses too much, with fp32
    scale_choices = [kv_cache.measure_scales(module, bundle, stage), None] if isinstance(module, Gpt) else [None]
    for scales in scale_choices:
        report("quantize")
        graphs = _quantized(model, precision=precision, scales=scales, gpt=gpt)
        report("save")
        for name, quantized in graphs:
            graph.save(quantized, folder / name)
        report("validate")
        try:
            for path in sorted(folder.glob("*.onnx")):
                its_precision: Precision = "int8" if path.name == WIDE_FILE else precision
                validate(stage, module=module, spec=spec, precision=its_precision, path=path)
        except ExportError as error:
            if scales is None:
                raise
            log.warning("%s keeps its cache in fp32: %s", stage, error)
            continue
        break
    declared = {"inputs": stage_graph.inputs(spec), "outputs": stage_graph.outputs(spec)}
    if gpt is not None and quantize.needs_even_rows(model, bits=BITS[precision]):
        declared = {name: row_pairs.with_rows_axis(axes) for name, axes in declared.items()}
    if scales is not None:
        declared = {name: with_int8_cache(axes) for name, axes in declared.items()}
    return declared


def _pack(
    module: nn.Module, spec: Spec, *, stage: Stage, precision: Precision, folder: Path, report: Callable[..., None]
) -> None:
    """Write the packed weights, unless there are no kernels for a network of these sizes."""
    from build_engines.export import kernels

    if kernels.can_run(module):
        report("pack")
        kernels.pack(module, bits=BITS[precision], path=folder / KERNELS_FILE)
        kernels.validate(stage, module=module, spec=spec, precision=precision, path=folder / KERNELS_FILE)


def _quantized(
    model: ModelProto, *, precision: Precision, scales: kv_cache.Scales | None, gpt: GptSpec | None
) -> Iterator[tuple[str, ModelProto]]:
    """The graphs of a quantized engine with their file names, made one by one to save memory. `model` is not changed.

    scales: of an int8 cache; None keeps it in fp32. gpt: the sizes of a network that has a cache, else None.
    """
    if multiplies_int8_exactly():
        wide = quantize.quantize_matmuls_int8(model)
        if gpt is not None:
            kv_cache.make_prefill_graph(wide, scales)
        yield WIDE_FILE, wide
        del wide
    narrow = ModelProto()
    narrow.CopyFrom(model)
    narrow = quantize.quantize_blockwise(narrow, bits=BITS[precision])
    if scales is not None:
        kv_cache.use_int8_cache(narrow, scales)
    if gpt is not None and quantize.needs_even_rows(model, bits=BITS[precision]):
        row_pairs.pad_rows_to_even(narrow, width=gpt.width)
    yield MODEL_FILE, narrow
