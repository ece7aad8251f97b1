"""Estimates how good speech sounds, without a recording to compare with.

The model is DNSMOS P.835 (Reddy, Gopal and Cutler, "DNSMOS P.835: A Non-Intrusive Perceptual Objective Speech Quality
Metric to Evaluate Noise Suppressors", ICASSP 2022). The package speechmos carries its weights. Only they are used: the
package's own code imports librosa.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnxruntime
import soxr

from bark_serving.arrays import Floats
from bark_serving.errors import UserError, install_remedy

_HZ = 16_000  #: sample rate of the model's input
_SAMPLES = 144_160  #: its length: 9.01 s
_HOP_S = 1  #: from one input of a longer clip to the next
_OVERALL = 2  #: of the model's outputs: speech, background, overall
#: From the model's output to the listeners' scale: a polynomial, highest power first (from speechmos 0.0.1.1).
_TO_OPINION = (-0.06766283, 1.11546468, 0.04602535)


class Dnsmos:
    """The model. Raises `UserError` if speechmos is not installed."""

    def __init__(self, *, threads: int = 0) -> None:
        found = importlib.util.find_spec("speechmos")
        if found is None or found.origin is None:
            raise UserError("The Python module speechmos is not installed.", remedy=install_remedy("listen"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        model = Path(found.origin).parent / "dnsmos_models/sig_bak_ovr.onnx"
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def __call__(self, samples: Floats, *, rate: int) -> float:
        """The overall quality of [n] samples at `rate` Hz: 1 is bad, 5 is excellent. nan if there are none.

        A clip shorter than 9 s is repeated. A longer one is judged second by second, and the mean is returned.
        """
        if not samples.size:
            return float("nan")
        audio = np.clip(np.asarray(soxr.resample(samples, rate, _HZ), np.float32), -1, 1)
        audio = np.tile(audio, -(-_SAMPLES // len(audio)))[: max(_SAMPLES, len(audio))]
        inputs = np.lib.stride_tricks.sliding_window_view(audio, _SAMPLES)[:: _HOP_S * _HZ]
        raw = [self._session.run(None, {"input_1": one[None]})[0][0, _OVERALL] for one in inputs]
        return float(np.mean(np.polyval(_TO_OPINION, raw)))
