#!/usr/bin/env bash
# Package: tensorrt-rtx-cu13-bindings 1.7.1.116, with tensorrt-rtx-cu13-libs (no GPU is needed)
# Behaviour: DequantizeLinear of int8 weights before a product stays compressed in the plan, but the plan has a kernel of its own
#   that writes the weights as float16 to memory in each step, and a product that reads them from there. Of int4 weights in
#   blocks of 128, unpacking and product are one kernel.
# A good guess: weights of one byte halve the time of a step that memory limits, as weights of half a byte quarter it.
# Seen 2026-11-29: int8 has two kernels, with a scale per column and per block alike; int4 has one, CastMulCastFc.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check --no-deps \
  tensorrt-rtx-cu13-bindings==1.7.1.116 tensorrt-rtx-cu13-libs==1.7.1.116 onnx==1.23.2 protobuf==6.33.5 numpy==2.3.5 \
  ml_dtypes==0.5.4 typing_extensions==4.15.0

"$work/env/bin/python" - << 'PYTHON'
import re

import numpy as np
import tensorrt_rtx_bindings as trt
from onnx import TensorProto, helper, numpy_helper

WIDTH = 2048


class Log(trt.ILogger):
    def __init__(self):
        super().__init__()
        self.text = []

    def log(self, severity, message):
        self.text.append(message)


def build(kind, **attributes):
    """The kernels of x · dequantized weights at batch 1."""
    rows = WIDTH // attributes["block_size"] if attributes else None
    scales = np.full((rows, WIDTH) if rows else WIDTH, 0.01, np.float16)
    size = WIDTH * WIDTH // (2 if kind == TensorProto.INT4 else 1)
    codes = np.random.default_rng(0).integers(0, 255, size, np.uint8).tobytes()
    constants = [
        helper.make_tensor("codes", kind, [WIDTH, WIDTH], codes, raw=True),
        numpy_helper.from_array(scales, "scales"),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["codes", "scales"], ["weights"], **(attributes or {"axis": 1})),
        helper.make_node("MatMul", ["x", "weights"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT16, [1, WIDTH]) for name in "xy")
    graph = helper.make_graph(nodes, "product", [x], [y], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=11)
    log = Log()
    builder = trt.Builder(log)
    network = builder.create_network(0)
    assert trt.OnnxParser(network, log).parse(model.SerializeToString())
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)
    plan = builder.build_serialized_network(network, config)
    kernels = re.findall(r"^Name: (.+?), LayerType: ", "\n".join(log.text), re.MULTILINE)
    print(f"{TensorProto.DataType.Name(kind)} {attributes}: a plan of {plan.nbytes} bytes, kernels {kernels}")
    return kernels


for attributes in ({}, {"axis": 0, "block_size": 128}):
    assert len(build(TensorProto.INT8, **attributes)) == 2
assert len(build(TensorProto.INT4, axis=0, block_size=128)) == 1
PYTHON
