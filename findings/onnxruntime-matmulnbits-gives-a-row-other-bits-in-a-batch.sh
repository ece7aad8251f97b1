#!/usr/bin/env bash
# Package: onnxruntime 1.32.0 (CPU), onnx 1.23.2, numpy 2.3.5
# Behaviour: MatMulNBits with 4-bit weights gives a row other last bits when more rows are in the same call. A MatMul
#   in fp32 does not.
# A good guess: rows of a matrix product do not depend on each other.
# Seen 2026-11-28: differences of up to 9.5e-07 for values of up to 1.7; 0 for MatMul
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.3.5

"$work/env/bin/python" - << 'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

WIDTH, BLOCK = 256, 32
random = np.random.default_rng(0)
packed = random.integers(0, 256, (WIDTH, WIDTH // BLOCK, BLOCK // 2), dtype=np.uint8)
scales = random.random((WIDTH, WIDTH // BLOCK), dtype=np.float32) / 100
dense = random.standard_normal((WIDTH, WIDTH), dtype=np.float32)
rows = random.standard_normal((4, WIDTH), dtype=np.float32)


def rows_agree(node, *weights) -> bool:
    """Whether each row alone is what it is in the batch, bit for bit."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", WIDTH]) for name in "xy")
    graph = helper.make_graph([node], "product", [x], [y], [numpy_helper.from_array(w, f"w{i}") for i, w in enumerate(weights)])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    batch = session.run(None, {"x": rows})[0]
    alone = np.concatenate([session.run(None, {"x": row[None]})[0] for row in rows])
    print(f"{node.op_type}: largest difference {np.abs(batch - alone).max():.2g} of values up to {np.abs(batch).max():.2g}")
    return np.array_equal(batch, alone)


sizes = {"K": WIDTH, "N": WIDTH, "bits": 4, "block_size": BLOCK}
assert not rows_agree(
    helper.make_node("MatMulNBits", ["x", "w0", "w1"], ["y"], domain="com.microsoft", **sizes), packed, scales
)
assert rows_agree(helper.make_node("MatMul", ["x", "w0"], ["y"]), dense)
PYTHON
