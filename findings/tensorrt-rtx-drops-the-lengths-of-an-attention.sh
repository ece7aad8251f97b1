#!/usr/bin/env bash
# Package: tensorrt-rtx-cu13-bindings 1.7.1.116, with tensorrt-rtx-cu13-libs
# Behaviour: the parser takes an Attention of opset 24 with `nonpad_kv_seqlen`, the number of valid keys of each row, and makes
#   a network without it: the attention reads the whole cache. It reports no error and no warning. The input stays an
#   input of the network that nothing reads. A boolean mask in its place is kept.
# A good guess: the parser applies the input, or refuses the node.
# Seen 2026-11-29: with the lengths the attention has 3 inputs, none of which comes from them; with a mask it has 4.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check --no-deps \
  tensorrt-rtx-cu13-bindings==1.7.1.116 tensorrt-rtx-cu13-libs==1.7.1.116 onnx==1.23.2 protobuf==6.33.5 numpy==2.3.5 \
  ml_dtypes==0.5.4 typing_extensions==4.15.0

"$work/env/bin/python" - << 'PYTHON'
import onnx
import tensorrt_rtx_bindings as trt
from onnx import TensorProto, helper


class Log(trt.ILogger):
    def __init__(self):
        super().__init__()
        self.said = []

    def log(self, severity, message):
        if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR, trt.ILogger.WARNING):
            self.said.append(message)


def attention_inputs(extra, kind, shape, place):
    cache = ["B", 4, 1024, 64]
    tensors = [
        helper.make_tensor_value_info("query", TensorProto.FLOAT16, ["B", 4, 1, 64]),
        *(helper.make_tensor_value_info(name, TensorProto.FLOAT16, cache) for name in ("keys", "values")),
        helper.make_tensor_value_info(extra, kind, shape),
    ]
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT16, ["B", 4, 1, 64])
    names = ["query", "keys", "values", "", "", "", ""]
    names[place] = extra
    while not names[-1]:
        names.pop()
    graph = helper.make_graph([helper.make_node("Attention", names, ["out"])], "attention", tensors, [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=11)
    onnx.checker.check_model(model)
    log = Log()
    network = trt.Builder(log).create_network(0)
    parser = trt.OnnxParser(network, log)
    assert parser.parse(model.SerializeToString()) and not parser.num_errors
    said = [message for message in log.said if "Int64 binding" not in message]
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    [attention] = [layer for layer in layers if layer.type == trt.LayerType.ATTENTION_INPUT]
    read = {layer.get_input(i).name for layer in layers for i in range(layer.num_inputs) if layer.get_input(i)}
    print(f"{extra}: the attention has {attention.num_inputs} inputs; {extra} is read: {extra in read}; said: {said}")
    return attention.num_inputs, extra in read, said


assert attention_inputs("lengths", TensorProto.INT64, ["B"], 6) == (3, False, [])
assert attention_inputs("mask", TensorProto.BOOL, ["B", 1, 1, 1024], 3) == (4, True, [])
PYTHON
