#!/usr/bin/env bash
# Package: onnxruntime 1.32.0 (CPU), onnx 1.23.2, numpy 2.3.5
# Behaviour: ArgMax, ArgMin, ReduceMax and ReduceMin along the last axis skip a NaN, unless it is the first entry: then it is
#   the answer. NumPy and PyTorch answer with the NaN, wherever it stands. So greedy decoding goes on with broken scores, and
#   a check of the largest score finds no NaN.
# A good guess: a NaN comes through, as in the library that the model was made with, or is skipped in every place.
# Seen 2026-11-30: of [0, 5, nan, -1] ArgMax 1, ReduceMax 5; of [nan, 0, 5, -1] ArgMax 0, ReduceMax nan; NumPy: 2, nan; 0, nan
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.3.5

"$work/env/bin/python" - << 'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

NAMES = ("ArgMax", "ArgMin", "ReduceMax", "ReduceMin")
nodes = [helper.make_node(name, ["x"], [name], keepdims=0, **({"axis": 0} if "Arg" in name else {})) for name in NAMES]
x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None])
answers = [helper.make_tensor_value_info(n, TensorProto.INT64 if "Arg" in n else TensorProto.FLOAT, []) for n in NAMES]
graph = helper.make_graph(nodes, "largest", [x], answers)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def both(*values: float) -> tuple[dict[str, float], dict[str, float]]:
    """The answers of onnxruntime and of NumPy."""
    row = np.array(values, np.float32)
    found = dict(zip(NAMES, (answer.item() for answer in session.run(None, {"x": row})), strict=True))
    reference = dict(zip(NAMES, (f(row).item() for f in (np.argmax, np.argmin, np.max, np.min)), strict=True))
    print(f"{row.tolist()}: onnxruntime {found}, NumPy {reference}")
    return found, reference


middle, reference = both(0, 5, np.nan, -1)
assert middle == {"ArgMax": 1, "ArgMin": 3, "ReduceMax": 5, "ReduceMin": -1}
assert reference["ArgMax"] == 2 and np.isnan(reference["ReduceMax"])
first, reference = both(np.nan, 0, 5, -1)
assert first["ArgMax"] == first["ArgMin"] == 0 == reference["ArgMax"]
assert np.isnan([first["ReduceMax"], first["ReduceMin"]]).all()
PYTHON
