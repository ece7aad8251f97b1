#!/usr/bin/env bash
# Package: onnxruntime 1.32.0 (CPU, x86-64), onnx 1.23.2, numpy 2.3.5
# Behaviour: Sigmoid in float32 is 0 from -18 down, where it ought to be 1.5e-8, and is already twice too large at -17. So
#   Log of Sigmoid, a log-probability, is minus infinity from -18 down. Exp and Softplus keep their digits there.
# A good guess: float32 holds 1.5e-8 with all its digits, and sigmoid is exact to some parts in 1e7 down to -87, where
#   float32 ends.
# Seen 2026-11-30: at -15, -17, -18, -30: 3.6e-7, 8.9e-8, 0, 0; exact are 3.1e-7, 4.1e-8, 1.5e-8, 9.4e-14. Log: -14.84,
#   -16.23, -inf, -inf; minus Softplus of the other sign: -15, -17, -18, -30
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.3.5

"$work/env/bin/python" - << 'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

nodes = [
    helper.make_node("Sigmoid", ["x"], ["sigmoid"]),
    helper.make_node("Log", ["sigmoid"], ["log"]),
    helper.make_node("Neg", ["x"], ["minus_x"]),
    helper.make_node("Softplus", ["minus_x"], ["softplus"]),
    helper.make_node("Neg", ["softplus"], ["minus_softplus"]),
]
x, *answers = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("x", "sigmoid", "log", "minus_softplus"))
graph = helper.make_graph(nodes, "sigmoid", [x], answers)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
points = np.array([-15, -17, -18, -30], np.float32)
sigmoid, log, softplus = session.run(None, {"x": points})
exact = 1 / (1 + np.exp(-points.astype(np.float64)))
for row in zip(points, sigmoid, exact, log, softplus, strict=True):
    print("at {:.0f}: Sigmoid {:.2g}, exact {:.2g}, its Log {:.4g}, minus Softplus {:.4g}".format(*row))
assert sigmoid[1] > 1.5 * exact[1]
assert (sigmoid[2:] == 0).all() and np.isneginf(log[2:]).all()
assert np.allclose(softplus, points, rtol=1e-5)
assert np.float32(exact[3]) > 0  # float32 can hold it
PYTHON
