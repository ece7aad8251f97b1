#!/usr/bin/env bash
# Package: tensorrt-rtx-cu13-bindings 1.7.1.116, with tensorrt-rtx-cu13-libs
# Behaviour: IAttention takes `mask` and `key_value_lengths`, the number of valid keys of each row, together. The plan that is built
#   has the kernel of an attention with a mask alone: nothing reads the lengths, so each row reads all keys. There is no
#   error and no warning. Without a mask, the kernel reads the lengths.
# A good guess: the kernel reads both, or the two are refused together, as `mask` and `causal` are.
# Seen 2026-11-29: the tensors that the fused kernel reads are query, keys, values and, in turn: lengths; mask; mask.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check --no-deps \
  tensorrt-rtx-cu13-bindings==1.7.1.116 tensorrt-rtx-cu13-libs==1.7.1.116

"$work/env/bin/python" - << 'PYTHON'
import re

import tensorrt_rtx_bindings as trt


class Log(trt.ILogger):
    def __init__(self):
        super().__init__()
        self.kernels, self.said = [], []

    def log(self, severity, message):
        if message.startswith("Layers:"):
            self.kernels += [line for line in message.splitlines() if "_mha_" in line]
        if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR, trt.ILogger.WARNING):
            self.said.append(message)


def read_by_attention(**extra):
    log = Log()
    builder = trt.Builder(log)
    network, config = builder.create_network(0), builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    shapes = {"query": (4, 1, 64), "keys": (4, 1024, 64), "values": (4, 1024, 64)}
    inputs = [network.add_input(name, trt.DataType.HALF, (-1, *shape)) for name, shape in shapes.items()]
    attention = network.add_attention(*inputs, trt.AttentionNormalizationOp.SOFTMAX, False)
    for name, (attribute, kind, shape) in extra.items():
        setattr(attention, attribute, network.add_input(name, kind, (-1, *shape)))
        shapes[name] = shape
    network.mark_output(attention.get_output(0))
    profile = builder.create_optimization_profile()
    for name, shape in shapes.items():
        profile.set_shape(name, (1, *shape), (4, *shape), (32, *shape))
    config.add_optimization_profile(profile)
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)
    assert builder.build_serialized_network(network, config) is not None
    [kernel] = log.kernels
    found = [name for name in re.findall(r"Name: (\w+),", kernel) if name in shapes]
    print(f"given {', '.join(shapes)}: the kernel reads {', '.join(found)}; said: {log.said}")
    return found[3:], log.said


lengths = {"lengths": ("key_value_lengths", trt.DataType.INT32, ())}
mask = {"mask": ("mask", trt.DataType.BOOL, (1, 1, 1024))}
assert read_by_attention(**lengths) == (["lengths"], [])
assert read_by_attention(**mask) == (["mask"], [])
assert read_by_attention(**lengths, **mask) == (["mask"], [])
PYTHON
