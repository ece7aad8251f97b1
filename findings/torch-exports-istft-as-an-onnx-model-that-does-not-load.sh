#!/usr/bin/env bash
# Package: torch 2.13.0 (the build for the CPU), onnxscript 0.7.2, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.3.5
# Behaviour: torch.onnx.export makes a model of torch.istft, the last step of many vocoders, without a word. It is no valid
#   model: a ScatterND in it has indices of int32, where ONNX has int64 only. onnxruntime refuses to load it, and the check
#   of onnx finds it only with full_check=True.
# A good guess: an export that succeeds gives a model that loads; what it cannot express raises in the export.
# Seen 2026-11-30: exported, check passed; full check ShapeInferenceError; onnxruntime InvalidGraph: Type
#   'tensor(int32)' of input parameter ... of operator (ScatterND)
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
pip=(python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check)
"${pip[@]}" torch==2.13.0+cpu numpy==2.3.5 2> /dev/null \
    || "${pip[@]}" --extra-index-url https://download.pytorch.org/whl/cpu torch==2.13.0+cpu numpy==2.3.5
"${pip[@]}" onnxruntime==1.32.0 onnx==1.23.2 onnxscript==0.7.2

"$work/env/bin/python" - "$work" 2> "$work/log" << 'PYTHON' || { cat "$work/log" >&2; exit 1; }
import sys

import onnx
import onnxruntime
import torch

SIZE, STEP = 64, 16
window = torch.hann_window(SIZE)


class Inverse(torch.nn.Module):
    def forward(self, spectrum: torch.Tensor) -> torch.Tensor:
        return torch.istft(torch.view_as_complex(spectrum), SIZE, STEP, window=window)


torch.manual_seed(0)
signal = torch.randn(1, 512)
spectrum = torch.view_as_real(torch.stft(signal, SIZE, STEP, window=window, return_complex=True))
assert torch.allclose(Inverse()(spectrum), signal, atol=1e-5)  # torch itself inverts it

path = f"{sys.argv[1]}/istft.onnx"
torch.onnx.export(Inverse(), (spectrum,), path, dynamo=True, verbose=False)
onnx.checker.check_model(path)
print("torch.istft: exported, and onnx.checker.check_model passes")
try:
    onnx.checker.check_model(path, full_check=True)
except onnx.shape_inference.InferenceError as error:
    print("with full_check=True:", str(error).strip())
else:
    raise SystemExit("the full check passes")
try:
    onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
except Exception as error:  # of onnxruntime's own type, which has no public name
    print(f"onnxruntime: {type(error).__name__}: {str(error).split('failed:')[-1][:120]}")
    assert type(error).__name__ == "InvalidGraph" and "ScatterND" in str(error)
else:
    raise SystemExit("the model loads")
PYTHON
