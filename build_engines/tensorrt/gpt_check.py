"""Compare a GPT's graph for TensorRT with the fp32 network: prefills, then steps of rows at different positions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, numpy_helper

from bark_serving import networks
from bark_serving.arrays import Array, Floats
from bark_serving.bundle import Bundle
from bark_serving.decoding.rules import head_rows, rule_of
from bark_serving.decoding.sampling import Sampling, probabilities
from bark_serving.profiles import Precision
from bark_serving.spec import GptStage
from build_engines.errors import ExportError
from build_engines.export.graphs import GRAPHS, Arrays
from build_engines.export.validate import BATCHES, decode_step, open_session, random_embeddings, run_graph, run_module
from build_engines.tensorrt import gpt
from build_engines.tensorrt.check import MIN_SIGNAL_DB, signal_to_error

#: How far a uniform number may lie from the borders of the token that it draws: the graph sums probabilities in fp32.
MAX_BORDER_ERROR = 1e-4


def check(bundle: Bundle, *, stage: GptStage, precision: Precision, path: Path) -> None:
    """Run the graph at `path` and its network. Raises `ExportError` naming the first output that differs.

    ONNX Runtime does not compute in bf16: it gets a copy of such a graph that computes in fp32 with the same weights.
    """
    declared, spec = GRAPHS[stage], bundle.spec
    module: Any = declared.forward(networks.load(stage, bundle), spec)
    if precision == "bf16":
        twin = path.with_name(f"fp32-of-{path.name}")
        onnx.save(as_fp32(onnx.load(str(path))), str(twin), save_as_external_data=True, location=f"{twin.name}.data")
        path = twin
    session, rng = open_session(path), np.random.default_rng(0)
    types = {tensor.name: tensor.type for tensor in session.get_inputs()}
    for length in declared.lengths:
        for batch in BATCHES:
            case = f"{stage} in {precision} at batch {batch} and length {length}"
            reference = declared.sample(spec, batch, length, rng)
            reference["embeddings"] = random_embeddings(module, batch, length, rng)
            expected = run_module(stage, module, spec, reference)
            given = gpt.sampler(stage)(spec, batch, length, rng) | {"embeddings": reference["embeddings"]}
            actual = run_graph(session, _cast(given, types))
            _compare(case, bundle, stage, precision, expected["logits"], given, actual)
            step = decode_step(reference, expected, random_embeddings(module, batch, 1, rng))
            expected = run_module(stage, module, spec, step)
            given |= {name: step[name] for name in ("embeddings", "positions")}
            # the graph continues from its own cache, as it does when it serves
            given |= {name.replace("present", "past"): value for name, value in actual.items() if "present" in name}
            actual = run_graph(session, _cast(given, types))
            _compare(f"{case}, next step", bundle, stage, precision, expected["logits"], given, actual)


def _cast(inputs: Arrays, types: dict[str, str]) -> Arrays:
    half = {name for name, kind in types.items() if kind == "tensor(float16)"}
    return {name: array.astype(np.float16) if name in half else array for name, array in inputs.items()}


def _compare(
    case: str, bundle: Bundle, stage: GptStage, precision: Precision, logits: Floats, given: Arrays, actual: Arrays
) -> None:
    ratio = signal_to_error(logits, actual["logits"])
    if not ratio >= MIN_SIGNAL_DB[precision]:
        raise ExportError(
            f"{case}: logits have {ratio:.0f} dB of signal over error, {MIN_SIGNAL_DB[precision]:.0f} dB must be."
        )
    rule = rule_of(stage, bundle.spec)
    rows = zip(given["id_sets"], given["temperatures"], given["uniforms"], actual["logits"], strict=True)
    for row, (id_set, temperature, uniform, found) in enumerate(rows):
        ids = rule.id_sets[id_set]
        p = probabilities(found[ids - head_rows(rule).start], Sampling(temperature=float(temperature)))
        token, end = actual["tokens"][row], actual["end_probabilities"][row]
        if not (_follows(ids, p, token, float(uniform)) and abs(end - p[-1]) < MAX_BORDER_ERROR):
            raise ExportError(f"{case}: token {token} of row {row} does not follow from its logits.")


def _follows(ids: Array, p: Floats, token: int, uniform: float) -> bool:
    """Whether the uniform number lies on the token's part of the cumulative distribution, or next to it."""
    [places] = np.nonzero(ids == token)
    borders = np.concatenate([[0.0], np.cumsum(p, dtype=np.float64)])
    return len(places) == 1 and bool(
        borders[places[0]] - MAX_BORDER_ERROR <= uniform <= borders[places[0] + 1] + MAX_BORDER_ERROR
    )


def as_fp32(model: ModelProto) -> ModelProto:
    """A graph in bf16 with fp32 in its place, in weights, inputs, outputs and casts. `model` is changed."""
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.BFLOAT16:
            values = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.elem_type == TensorProto.BFLOAT16:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in model.graph.node:
        for attribute in node.attribute:
            if (node.op_type, attribute.name, attribute.i) == ("Cast", "to", TensorProto.BFLOAT16):
                attribute.i = TensorProto.FLOAT
    return model
