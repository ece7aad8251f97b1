"""Compare an exported graph with the fp32 network it was made from, at two lengths × two batch sizes.

ONNX Runtime runs the graph in the graph's own precision, because TensorRT cannot run without a GPU. The tolerances are
defined beside the comparisons that use them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bark_serving import networks
from bark_serving.bundle import Bundle
from bark_serving.engines.store import MODEL_FILE
from bark_serving.networks import Hubert
from bark_serving.profiles import Precision, Stage
from build_engines.errors import ExportError
from build_engines.export.graphs import GRAPHS, Arrays
from build_engines.export.validate import (
    BATCHES,
    check_choice,
    check_equal,
    check_samples,
    open_session,
    run_graph,
    run_module,
)

#: Minimum ratio of signal to error, in dB, of audio, features and logits. fp16 has 11 bits: a little more than 60 dB.
#: bf16 has 8. int4 is a choice of less quality: 7 dB are a cosine of 0.9, which the cpu profile asks of its int4 too.
MIN_SIGNAL_DB: Mapping[Precision, float] = {"fp32": 90.0, "fp16": 50.0, "bf16": 35.0, "int4": 7.0}
#: A chosen token's score may lie this far below the best one, as a share of the range of scores: ONNX Runtime gives the
#: token head features that it did not round to fp16. Only the first frames are compared, because an LSTM of random
#: weights amplifies that difference within a second.
MAX_SHORTFALL, EARLY_FRAMES = 0.02, 8


def check(bundle: Bundle, *, stage: Stage, precision: Precision, folder: Path) -> None:
    """Run the graph in `folder` and its network. Raises `ExportError` naming the first output that differs."""
    graph, spec = GRAPHS[stage], bundle.spec
    module = graph.forward(networks.load(graph.network, bundle), spec)
    session = open_session(folder / MODEL_FILE)
    rng = np.random.default_rng(0)
    for length in graph.lengths:
        for batch in BATCHES:
            case = f"{stage} in {precision} at batch {batch} and length {length}"
            sample = graph.sample(spec, batch, length, rng)
            actual = run_graph(session, sample)
            if isinstance(module, Hubert):
                _check_hubert(case, module, sample, actual, precision)
            else:
                expected = run_module(stage, module, spec, sample)
                _compare(case, expected, actual, precision)
            if stage == "fine":
                check_samples(case, sample, actual)


def _compare(case: str, expected: Arrays, actual: Arrays, precision: Precision) -> None:
    for name, reference in expected.items():
        found = actual[name]
        if found.shape != reference.shape:
            raise ExportError(f"{case}: {name} has shape {found.shape}, the network gives {reference.shape}.")
        if reference.dtype == np.float32:
            _check_signal(f"{case}: {name}", reference, found, precision)
        elif name == "codes":
            check_equal(f"{case}: codes", reference, found)


def _check_hubert(case: str, module: Hubert, sample: Arrays, actual: Arrays, precision: Precision) -> None:
    """Compare features with the network's, and tokens with the token head's scores of the graph's own features."""
    with torch.inference_mode():
        features = module.features(torch.from_numpy(sample["audio"])).numpy()
        scores = module.head(torch.from_numpy(actual["features"])).numpy()
    _check_signal(f"{case}: features", features, actual["features"], precision)
    scores, tokens = scores[:, :EARLY_FRAMES], actual["tokens"][:, :EARLY_FRAMES]
    check_choice(case, scores, tokens, at_most=MAX_SHORTFALL)


def _check_signal(
    what: str, reference: npt.NDArray[np.float32], found: npt.NDArray[np.float32], precision: Precision
) -> None:
    ratio = signal_to_error(reference, found)
    if not ratio >= MIN_SIGNAL_DB[precision]:
        raise ExportError(
            f"{what} have {ratio:.0f} dB of signal over error, {MIN_SIGNAL_DB[precision]:.0f} dB must be."
        )


def signal_to_error(reference: npt.NDArray[Any], found: npt.NDArray[Any]) -> float:
    """Power of `reference` over that of the difference, in dB."""
    signal = float(np.square(reference, dtype=np.float64).mean())
    error = float(np.square(found.astype(np.float64) - reference).mean())
    return float(10 * np.log10(signal / error)) if error else float("inf")
