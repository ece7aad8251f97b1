"""A torch module to an ONNX graph with named, dynamic axes, and that graph to disk."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import ModelProto, ValueInfoProto
from torch import Tensor, nn

from bark_serving.engines.manifest import TensorInfo
from build_engines.errors import ExportError
from build_engines.export.operators import CONTRIB

OPSET = 20  # the first with Gelu
#: Weights above this size go into a file of their own. When the graph is opened, that file is mapped, not copied.
EXTERNAL_DATA_ABOVE_BYTES = 8 * 2**20
_DTYPES = {
    "float32": onnx.TensorProto.FLOAT,
    "float16": onnx.TensorProto.FLOAT16,
    "bfloat16": onnx.TensorProto.BFLOAT16,
    "int32": onnx.TensorProto.INT32,
    "int64": onnx.TensorProto.INT64,
}


def to_onnx(
    module: nn.Module,
    *,
    sample: dict[str, Tensor],
    inputs: dict[str, TensorInfo],
    outputs: dict[str, TensorInfo],
    opset: int = OPSET,
) -> ModelProto:
    """Trace `module` on `sample` and return its graph with the declared inputs, outputs and axis labels.

    Raises `ExportError` when an axis is declared free and exported as fixed, or the other way round.
    """
    dynamic = torch.export.Dim.DYNAMIC
    free = [{i: dynamic for i, axis in enumerate(info.axes) if isinstance(axis, str)} for info in inputs.values()]
    positional = sum(not name.startswith("past_") for name in inputs)  # the cache is taken as *past
    shapes = (*free[:positional], *([tuple(free[positional:])] if len(free) > positional else []))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns about its own code
        logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
        program = torch.onnx.export(
            module,
            tuple(sample[name] for name in inputs),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=shapes,
            opset_version=opset,
            custom_opsets={CONTRIB: 1},
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # it is None only if torch writes a file
    model = program.model_proto
    _strip(model)
    _label(model.graph.input, inputs)
    _label(model.graph.output, outputs)
    return model


def save(model: ModelProto, path: Path) -> None:
    """Write a graph. Large weights go into a second file with the suffix ``.data``."""
    external = sum(len(tensor.raw_data) for tensor in model.graph.initializer) > EXTERNAL_DATA_ABOVE_BYTES
    weights = path.with_name(f"{path.name}.data")
    weights.unlink(missing_ok=True)  # onnx would append to it
    onnx.save_model(
        model,
        str(path),
        save_as_external_data=external,
        all_tensors_to_one_file=True,
        location=weights.name,
        size_threshold=1024,
    )


def replace(field: Any, items: Sequence[Any]) -> None:
    """Replace the items of a protobuf message's repeated field."""
    copies = [type(item).FromString(item.SerializeToString()) for item in items]
    del field[:]
    field.extend(copies)


def _strip(model: ModelProto) -> None:
    """Remove what only describes the tracing: source paths of this machine, intermediate shapes, documentation."""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    model.doc_string = model.graph.doc_string = ""
    for item in (*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        del item.metadata_props[:]
        item.doc_string = ""


def _label(tensors: Iterable[ValueInfoProto], declared: dict[str, TensorInfo]) -> None:
    """Check names, types and axes against the declaration, and write its labels into the graph."""
    found = {tensor.name: tensor.type.tensor_type for tensor in tensors}
    if list(found) != list(declared):
        raise ExportError(f"The exported graph has {list(found)} where {list(declared)} are declared.")
    for name, info in declared.items():
        dims = found[name].shape.dim
        if len(dims) != len(info.axes) or found[name].elem_type != _DTYPES[info.dtype]:
            raise ExportError(f"{name} was exported with another rank or type than {info}.")
        for i, (dim, axis) in enumerate(zip(dims, info.axes, strict=True)):
            if isinstance(axis, str) != dim.HasField("dim_param") or (isinstance(axis, int) and dim.dim_value != axis):
                raise ExportError(
                    f"Axis {i} of {name} is declared as {axis!r}, and exported as {dim.dim_param or dim.dim_value!r}."
                )
            if isinstance(axis, str):
                dim.dim_param = axis  # torch names some axes by a formula of others
